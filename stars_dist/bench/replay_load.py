"""The load of the replay benchmarks: Meta-World-sized transitions, filled shards, and one learner's cycle."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from replay_service.config import ReplayConfig, SamplingConfig, TaskPriorityConfig
from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplaySampler
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import Chunk, ChunkId, TransitionBatch, TransitionSpec

OBS_DIM, ACTION_DIM = 39, 4  # Meta-World
UNLIMITED = 10**12


def bench_plan(
    num_tasks: int,
    capacity: int,
    rows_per_task: int,
    storage: Literal["memory", "mapped"] = "memory",
    chunk_steps: int = 500,
) -> ReplayPlan:
    """Plan one shard whose limiter never holds anybody."""
    return ReplayPlan(
        spec=TransitionSpec(num_tasks, OBS_DIM, ACTION_DIM),
        replay=ReplayConfig(
            capacity_per_task=capacity,
            storage=storage,
            num_shards=1,
            warmup_steps_per_task=1,
            error_buffer=1e15,
        ),
        sampling=SamplingConfig(
            batch_size_per_task=rows_per_task,
            task_priority=TaskPriorityConfig(quota_floor=min(2, rows_per_task)),
        ),
        total_steps=UNLIMITED,
        chunk_steps=min(chunk_steps, capacity),
        batches_per_call=1,
        seed=0,
        gamma=0.99,
    )


def make_transitions(task: int, rows: int, rng: np.random.Generator) -> TransitionBatch:
    """Make random transitions of one task."""
    return TransitionBatch(
        obs=rng.standard_normal((rows, OBS_DIM), np.float32),
        action=rng.standard_normal((rows, ACTION_DIM), np.float32),
        reward=rng.standard_normal(rows, np.float32),
        next_obs=rng.standard_normal((rows, OBS_DIM), np.float32),
        terminated=np.zeros(rows, np.bool_),
        task_id=np.full(rows, task, np.int32),
    )


class Feed:
    """Fills a shard, chunk after chunk of the same rows with new sequence numbers."""

    def __init__(self, plan: ReplayPlan, rng: np.random.Generator) -> None:
        self._chunks = [
            Chunk(ChunkId(0, 0, 0), make_transitions(task, plan.chunk_steps, rng), (), 0)
            for task in range(plan.num_tasks)
        ]
        self._sequence = 0

    def round(self, shard: Shard) -> int:
        """Insert one chunk of each task; return the transitions stored."""
        for chunk in self._chunks:
            shard.insert(chunk._replace(id=ChunkId(0, 0, self._sequence)), 0.0)
        self._sequence += 1
        return sum(len(chunk.transitions.reward) for chunk in self._chunks)


def filled_shard(plan: ReplayPlan, rng: np.random.Generator, directory: Path | None = None) -> Shard:
    """Build a shard with full tables of random priorities."""
    shard = Shard(0, plan, directory)
    shard.set_insert_limit(0, UNLIMITED)
    feed, capacity = Feed(plan, rng), plan.replay.capacity_per_task
    for _ in range(-(-capacity // plan.chunk_steps)):
        feed.round(shard)
    quota = np.full((1, plan.num_tasks), min(capacity, 2000))
    for _ in range(3):
        drawn = shard.sample(quota, 0, UNLIMITED)
        shard.update_priorities(drawn.task_id, drawn.key, rng.exponential(size=len(drawn.key)))
    return shard


class Cycle:
    """Sample, weights, update: what a learner asks of the replay per update."""

    def __init__(self, plan: ReplayPlan, shard: Shard, rng: np.random.Generator) -> None:
        self._sampler = ReplaySampler(plan, LocalTransport([shard]))
        self._td_error = np.abs(rng.standard_normal(plan.batch_size))
        self._sampler.refresh(0)

    def __call__(self) -> None:
        """Go through one cycle."""
        batches = self._sampler.sample(1, 0, 0.4, 1.0)
        self._sampler.update_priorities(batches, [self._td_error])


def milliseconds(step: Callable[[], object], repeats: int) -> float:
    """Measure the mean wall time of a step, in ms."""
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats * 1e3


def alternated(steps: dict[str, Callable[[], object]], rounds: int, repeats: int) -> dict[str, float]:
    """Measure each step's mean wall time in ms, median over the rounds; in turn, so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        milliseconds(step, repeats)
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(milliseconds(step, repeats))
    return {name: float(np.median(values)) for name, values in times.items()}
