"""All that the next step of a serial run depends on, beside the learner: written into a checkpoint, and read again.

<checkpoint>/serial/state.json, state.npz    worker, batches drawn ahead, counters, health, published policy
<checkpoint>/serial/replay/                  see replay_service/replay_copy.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.policy_weights import PolicyWeights
from actors.rollout import RolloutWorker
from learner.prefetch import BatchSource
from replay_service.array_tree import read_tree, write_tree
from replay_service.replay_copy import read_replay, write_replay
from replay_service.shard import Shard
from stars_dist.build.learner import BuiltLearner
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.run_files.resume_point import SERIAL_REPLAY, SERIAL_STATE

_STATE = "state"


def restore_replay(shards: Sequence[Shard], checkpoint: Path) -> None:
    """Bring the shards to where they were; to be done before a writer begins, which the shards then know for new."""
    read_replay(shards, checkpoint / SERIAL_STATE / SERIAL_REPLAY)


class SerialState:
    """The parts of a serial run that have a state, under one name each."""

    def __init__(
        self, shards: Sequence[Shard], learner: BuiltLearner, worker: RolloutWorker, monitor: RunMonitor
    ) -> None:
        self._shards, self._learner, self._worker, self._monitor = shards, learner, worker, monitor
        self._before: Path | None = None  # the checkpoint before, whose blocks of transitions are taken over

    @property
    def is_whole(self) -> bool:
        """Whether it holds all: with a mirror of the replay on the device, draws go on anew after a resume."""
        return isinstance(self._learner.source, BatchSource)

    def write(self, checkpoint: Path, published: PolicyWeights, is_learning: bool) -> None:
        """Write the state into the directory of a checkpoint."""
        source = self._learner.source
        assert isinstance(source, BatchSource), "asked of a whole state alone"
        directory = checkpoint / SERIAL_STATE
        write_replay(self._shards, directory / SERIAL_REPLAY, self._before)
        state = {
            "worker": self._worker.state_dict(),
            "source": source.state_dict(),
            "loop": self._learner.loop.state_dict(),
            "sampler": self._learner.sampler.newest_state(),
            "monitor": self._monitor.state_dict(),
            "published": {"version": published.version, "params": dict(published.params)},
            "is_learning": is_learning,
        }
        write_tree(directory, _STATE, state)

    def written(self, checkpoint: Path) -> None:
        """Note where a checkpoint lies now that it is whole."""
        self._before = checkpoint / SERIAL_STATE / SERIAL_REPLAY

    def read(self, checkpoint: Path) -> tuple[PolicyWeights, bool]:
        """Bring every part but the replay to where it was; return the published policy and whether it was learning."""
        directory = checkpoint / SERIAL_STATE
        state: dict[str, Any] = read_tree(directory, _STATE)
        self._worker.load_state_dict(state["worker"])
        source = self._learner.source
        assert isinstance(source, BatchSource), "an exact start is of a run without a mirror"
        source.load_state_dict(state["source"])
        self._learner.loop.load_state_dict(state["loop"])
        self._learner.sampler.load_newest_state(state["sampler"])
        self._monitor.load_state_dict(state["monitor"])
        self.written(checkpoint)
        return PolicyWeights(**state["published"]), state["is_learning"]
