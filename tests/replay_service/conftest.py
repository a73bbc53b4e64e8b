"""Builders of plans, transitions and chunks; every column of a transition tells its serial number."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplaySampler
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import Chunk, ChunkId, EpisodeEnd, TransitionBatch, TransitionSpec

OBS_DIM, ACTION_DIM = 5, 2


def _plan(
    num_tasks: int = 2,
    replay: dict[str, Any] | None = None,
    sampling: dict[str, Any] | None = None,
    **sizes: Any,
) -> ReplayPlan:
    replay = {"storage": "memory", "capacity_per_task": 32, "warmup_steps_per_task": 8} | (replay or {})
    sampling = {"batch_size_per_task": 4} | (sampling or {})
    sizes = {"total_steps": 100_000 * num_tasks, "chunk_steps": 4, "batches_per_call": 2} | sizes
    sizes = {"seed": 0, "gamma": 0.99} | sizes
    spec = TransitionSpec(num_tasks, OBS_DIM, ACTION_DIM)
    return ReplayPlan(spec, ReplayConfig(**replay), SamplingConfig(**sampling), **sizes)


def _transitions(task: int, rows: int, first: int = 0) -> TransitionBatch:
    """Rows with serial numbers from `first` on; any column of any row tells the serial number."""
    serial = np.arange(first, first + rows, dtype=np.float32)
    return TransitionBatch(
        obs=serial[:, None] + np.linspace(0, 0.5, OBS_DIM, dtype=np.float32),
        action=serial[:, None] + np.linspace(0, 0.25, ACTION_DIM, dtype=np.float32),
        reward=serial + np.float32(0.125 * task),
        next_obs=-serial[:, None] - np.linspace(0, 0.5, OBS_DIM, dtype=np.float32),
        terminated=serial % 3 == 0,
        task_id=np.full(rows, task, np.int32),
    )


def _chunk(
    task: int,
    rows: int,
    sequence: int = 0,
    *,
    first: int = 0,
    actor: int = 0,
    incarnation: int = 0,
    episodes: int = 0,
) -> Chunk:
    ends = tuple(EpisodeEnd(task, float(i), 10, i % 2 == 0, 0) for i in range(episodes))
    return Chunk(ChunkId(actor, incarnation, sequence), _transitions(task, rows, first), ends, 0)


class Service:
    """Shards, which `fill` gives chosen numbers of rows of each task, and a sampler."""

    def __init__(self, plan: ReplayPlan) -> None:
        self.plan = plan
        self.shards = [Shard(index, plan) for index in range(plan.num_shards)]
        self.sampler = ReplaySampler(plan, LocalTransport(self.shards))
        self.sequence = 0

    def fill(self, rows: list[int], successes: list[int | None] | None = None) -> None:
        """Append rows[tau] rows of each task, with one episode that succeeded or not."""
        for task, count in enumerate(rows):
            if count:
                shard = self.shards[task % len(self.shards)]
                first = int(shard.stats().inserted[task // len(self.shards)])
                chunk = _chunk(task, count, self.sequence, first=first)
                if successes and successes[task] is not None:
                    ended = _chunk(task, 1, episodes=1).episodes[0]
                    chunk = chunk._replace(episodes=(ended._replace(success=bool(successes[task])),))
                shard.set_insert_limit(0, 10**9)
                assert shard.insert(chunk, 0.0).status == "stored"
        self.sequence += 1

    def sample(self, batches: int = 1, exponent: float = 0.4, timeout_s: float = 0.0) -> list:
        return self.sampler.sample(batches, 0, exponent, timeout_s)


@pytest.fixture
def make_plan() -> Callable[..., ReplayPlan]:
    return _plan


@pytest.fixture
def make_transitions() -> Callable[..., TransitionBatch]:
    return _transitions


@pytest.fixture
def make_chunk() -> Callable[..., Chunk]:
    return _chunk


@pytest.fixture
def make_service() -> Callable[[ReplayPlan], Service]:
    return Service
