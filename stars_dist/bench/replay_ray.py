"""The replay through Ray: two shards, two actors that insert, and a learner that only returns priorities."""

from __future__ import annotations

import logging
import tempfile
import time
from typing import Any

import numpy as np
import ray

from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplaySampler
from replay_service.transport import RayTransport, ray_shard_class
from replay_service.types import TransitionSpec
from replay_service.writer import ReplayWriter
from stars_dist.bench.replay_load import ACTION_DIM, OBS_DIM, UNLIMITED, make_transitions

NUM_TASKS, NUM_SHARDS, NUM_ACTORS = 10, 2, 2
ONE_THREAD = {"env_vars": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}}


class InsertingActor:
    """Writes random chunks of its tasks as fast as the limiter lets it."""

    def __init__(self, plan: ReplayPlan, shards: list[Any], actor: int) -> None:
        tasks = list(range(actor, NUM_TASKS, NUM_ACTORS))
        self._writer = ReplayWriter(plan, RayTransport(shards), actor, 0, tasks)
        self._steps, self._rng = plan.chunk_steps, np.random.default_rng(actor)

    def run(self) -> None:
        """Write without an end; the process is killed."""
        while True:
            for task in self._writer.ready_tasks(1.0):
                self._writer.write(make_transitions(task, self._steps, self._rng), (), 0)


def measure_ray(seconds: float, batches_per_call: int) -> dict[str, float]:
    """Measure batches of 1280 rows per second, and transitions per second that the limiter admits beside them."""
    plan = ReplayPlan(
        spec=TransitionSpec(NUM_TASKS, OBS_DIM, ACTION_DIM),
        replay=ReplayConfig(num_shards=NUM_SHARDS, warmup_steps_per_task=10_000),
        sampling=SamplingConfig(batch_size_per_task=128),
        total_steps=UNLIMITED,
        chunk_steps=100,
        batches_per_call=batches_per_call,
        seed=0,
        gamma=0.99,
    )
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(prefix="replay-bench-") as directory:
            return _run(plan, directory, seconds)
    finally:
        ray.shutdown()


def _run(plan: ReplayPlan, directory: str, seconds: float) -> dict[str, float]:
    shard_class = ray_shard_class(NUM_TASKS * plan.replay.max_unacknowledged_chunks)
    shard_options = {"num_cpus": 0, "runtime_env": ONE_THREAD}
    shards = [
        shard_class.options(**shard_options).remote(index, plan, directory) for index in range(NUM_SHARDS)
    ]
    actor_class: Any = ray.remote(InsertingActor)
    actors = [
        actor_class.options(num_cpus=0, runtime_env=ONE_THREAD).remote(plan, shards, actor)
        for actor in range(NUM_ACTORS)
    ]
    for actor in actors:
        actor.run.remote()
    sampler = ReplaySampler(plan, RayTransport(shards))
    _learn(sampler, plan, 0, 2.0)
    before, start = sampler.env_steps, time.perf_counter()
    batches = _learn(sampler, plan, 0, seconds)
    elapsed_s = time.perf_counter() - start
    return {
        "batches_per_s": batches / elapsed_s,
        "inserts_per_s": (sampler.env_steps - before) / elapsed_s,
    }


def _learn(sampler: ReplaySampler, plan: ReplayPlan, learner_steps: int, seconds: float) -> int:
    """Draw and give priorities back for `seconds` after the first batch; return the number of batches drawn."""
    priority = [np.abs(np.random.default_rng(0).standard_normal(plan.batch_size))] * plan.batches_per_call
    count, end = 0, None
    while end is None or time.perf_counter() < end:
        batches = sampler.sample(plan.batches_per_call, learner_steps + count, 0.4, 120.0)
        sampler.update_priorities(batches, priority)
        count += len(batches)
        end = end or time.perf_counter() + seconds
    return count
