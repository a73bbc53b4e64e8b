"""A replay service in this process, filled with random transitions: real batches for a benchmark of the learner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplaySampler
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import Chunk, ChunkId, EpisodeEnd, TransitionBatch
from stars_dist.config.run_plan import RunPlan

TRANSITIONS_PER_TASK = 500
_CHUNK_STEPS = 100
_UNLIMITED = 1e9  # samples per insert: nothing is inserted while the benchmark draws


@contextmanager
def stored_batches(run_plan: RunPlan, solved_share: float) -> Iterator[ReplaySampler]:
    """Provide a sampler over full tables. The last tasks, `solved_share` of them, always succeed, the others never."""
    plan = _plan(run_plan)
    shards = [Shard(i, plan) for i in range(plan.num_shards)]
    sampler = ReplaySampler(plan, LocalTransport(shards))
    rng = np.random.default_rng(plan.seed)
    for task in range(plan.num_tasks):
        is_solved = task >= (1 - solved_share) * plan.num_tasks
        for sequence in range(TRANSITIONS_PER_TASK // _CHUNK_STEPS):
            sampler.refresh(0)  # the shards admit inserts up to its limit
            episode = EpisodeEnd(task, 0.0, _CHUNK_STEPS, is_solved, 0)
            chunk = Chunk(ChunkId(task, 0, sequence), _transitions(plan, task, rng), (episode,), 0)
            status = shards[task % plan.num_shards].insert(chunk, timeout_s=0.0).status
            assert status == "stored", status
    try:
        yield sampler
    finally:
        for shard in shards:
            shard.close()


def _plan(plan: RunPlan) -> ReplayPlan:
    replay = plan.config.replay.model_copy(
        update={
            "capacity_per_task": TRANSITIONS_PER_TASK,
            "storage": "memory",
            "warmup_steps_per_task": TRANSITIONS_PER_TASK,
            "samples_per_insert": _UNLIMITED,
            "error_buffer": None,
        }
    )
    return replace(plan.replay, replay=replay, chunk_steps=_CHUNK_STEPS)


def _transitions(plan: ReplayPlan, task: int, rng: np.random.Generator) -> TransitionBatch:
    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=(_CHUNK_STEPS, *shape)).astype(np.float32)

    spec = plan.spec
    return TransitionBatch(
        obs=normal(spec.obs_dim),
        action=np.tanh(normal(spec.action_dim)),
        reward=normal(),
        next_obs=normal(spec.obs_dim),
        terminated=np.zeros(_CHUNK_STEPS, dtype=np.bool_),
        task_id=np.full(_CHUNK_STEPS, task, dtype=np.int32),
    )
