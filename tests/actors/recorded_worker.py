"""A rollout worker on toy tasks whose chunks are recorded instead of sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from actors.assignment import Assignment
from actors.config import ActorsConfig, EnvironmentConfig
from actors.policy_weights import PolicyWeights
from actors.rollout import RolloutWorker
from actors.suites import parse_suite
from actors.sync import ActorStats, Sync, SyncReply
from replay_service.types import EpisodeEnd, TransitionBatch

SUITE = parse_suite("toy:4", horizon=20)
ENVIRONMENT = EnvironmentConfig(horizon=20)


class Sent(NamedTuple):
    transitions: TransitionBatch
    episodes: tuple[EpisodeEnd, ...]
    weights_version: int


class RecordingWriter:
    """Keeps every chunk; a test sets which tasks are ready and which are open."""

    def __init__(self, task_ids: tuple[int, ...]) -> None:
        self.chunks: list[Sent] = []
        self.next_learner_steps = 0  # learner steps that the next acknowledgement brings
        self.learner_steps = 0
        self.open_tasks = list(dict.fromkeys(task_ids))
        self.waiting_tasks: set[int] = set()
        self.timeouts_s: list[float] = []  # of the waits for a ready task

    @property
    def closed(self) -> bool:
        return not self.open_tasks

    def ready_tasks(self, timeout_s: float = 0.0) -> list[int]:
        self.timeouts_s.append(timeout_s)
        return [task for task in self.open_tasks if task not in self.waiting_tasks]

    def write(
        self, transitions: TransitionBatch, episodes: Sequence[EpisodeEnd], weights_version: int
    ) -> None:
        self.chunks.append(Sent(transitions, tuple(episodes), weights_version))
        self.learner_steps = self.next_learner_steps

    def take_on(self, task: int) -> None:
        self.open_tasks.append(task)

    def leave(self, task: int) -> None:
        self.open_tasks.remove(task)


class NewWeights:
    """A sync whose reply has a newer version of the weights once the actor holds the one before."""

    def __init__(self, *versions: PolicyWeights) -> None:
        self.upcoming = list(versions)
        self.held: list[int | None] = []  # what the actor held when it asked, each version once
        self._given: int | None = None

    def __call__(self, stats: ActorStats) -> SyncReply:
        if stats.weights_version not in self.held:
            self.held.append(stats.weights_version)
        if stats.weights_version != self._given or not self.upcoming:
            return SyncReply()
        self._given = self.upcoming[0].version
        return SyncReply(self.upcoming.pop(0))


def worker_of(
    sync: Sync, task_ids: tuple[int, ...] = (0, 1), incarnation: int = 0, **config: Any
) -> tuple[RolloutWorker, RecordingWriter]:
    writer = RecordingWriter(task_ids)
    assignment = Assignment(0, incarnation, SUITE, task_ids, seed=1)
    actors = ActorsConfig(**{"envs_per_actor": 1, "chunk_steps": 30, "weights_poll_s": 1.0, **config})
    return RolloutWorker(assignment, actors, ENVIRONMENT, writer, sync), writer


def acknowledge(writer: RecordingWriter, learner_steps: int) -> None:
    """Let the writer's acknowledgements bring this count from now on."""
    writer.next_learner_steps = writer.learner_steps = learner_steps
