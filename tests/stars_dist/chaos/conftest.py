"""A small replay that real shards and writers have filled, as a run leaves it behind."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import TransitionBatch, TransitionSpec
from replay_service.writer import ReplayWriter

ROWS = 4


class LeftReplay(NamedTuple):
    """The files of a run that has ended."""

    replay: Path
    acknowledgements: Path


class Filler:
    """Two shards for three tasks, and an actor that fills them."""

    def __init__(self, directory: Path, capacity: int = 64) -> None:
        self.left = LeftReplay(directory / "replay", directory / "acknowledged")
        config = ReplayConfig(
            capacity_per_task=capacity,
            warmup_steps_per_task=8,
            num_shards=2,
            acknowledgement_log=str(self.left.acknowledgements),
        )
        spec = TransitionSpec(3, 5, 2)
        sampling = SamplingConfig(batch_size_per_task=4)
        sizes = {"chunk_steps": ROWS, "batches_per_call": 2, "seed": 0, "gamma": 0.99}
        self.plan = ReplayPlan(spec, config, sampling, 300_000, **sizes)
        self.shards = [Shard(index, self.plan, self.left.replay) for index in range(2)]
        for shard in self.shards:
            shard.set_insert_limit(0, 10**9)
        self.writer = ReplayWriter(self.plan, LocalTransport(self.shards), 0, 0, [0, 1, 2])
        self._rng = np.random.default_rng(0)

    def write(self, task: int, chunks: int) -> None:
        for _ in range(chunks):
            self.writer.write(self.transitions(task), (), 0)

    def close(self) -> LeftReplay:
        for shard in self.shards:
            shard.close()
        return self.left

    def transitions(self, task: int) -> TransitionBatch:
        """Rows that no other call has made."""

        def normal(*shape: int) -> np.ndarray:
            return self._rng.normal(size=(ROWS, *shape)).astype(np.float32)

        ends = np.zeros(ROWS, np.bool_)
        return TransitionBatch(normal(5), normal(2), normal(), normal(5), ends, np.full(ROWS, task, np.int32))


@pytest.fixture
def filler(tmp_path: Path) -> Filler:
    return Filler(tmp_path)
