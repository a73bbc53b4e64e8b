"""How long an update takes on this machine, found out before a run starts."""

from __future__ import annotations

import time

import numpy as np

from learner.batch import BatchCopier
from replay_service.types import SampledBatch, SampleInfo, TransitionBatch
from stars_dist.build.learner import choose_device, fresh_learner
from stars_dist.config.run_plan import RunPlan


def computes_on_cpu(plan: RunPlan) -> bool:
    """Tell whether the run's learner has no GPU; ValueError where it asks for one that is not there."""
    return choose_device(plan.config.device).type == "cpu"


def seconds_per_update(plan: RunPlan) -> float:
    """Time one update of the run's learner on a random batch of the run's size, after one that is not timed."""
    learner = fresh_learner(plan)
    batch = BatchCopier(learner.device)(_random_batch(plan))
    learner.update(batch)
    start = time.perf_counter()
    learner.update(batch)
    return time.perf_counter() - start


def _random_batch(plan: RunPlan) -> SampledBatch:
    rng, spec, size = np.random.default_rng(plan.replay.seed), plan.replay.spec, plan.replay.batch_size
    rows = np.full(spec.num_tasks, size // spec.num_tasks)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=(size, *shape)).astype(np.float32)

    transitions = TransitionBatch(
        obs=normal(spec.obs_dim),
        action=np.tanh(normal(spec.action_dim)),
        reward=normal(),
        next_obs=normal(spec.obs_dim),
        terminated=np.zeros(size, np.bool_),
        task_id=np.repeat(np.arange(spec.num_tasks, dtype=np.int32), rows),
    )
    nowhere = np.zeros(size, np.int64)
    info = SampleInfo(nowhere.astype(np.int32), nowhere, np.full(size, 1 / size))
    return SampledBatch(transitions, np.ones(size, np.float32), rows, info)
