"""What the shards' counters become in TensorBoard."""

import math

import numpy as np

from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import Chunk, ChunkId, EpisodeEnd, TransitionBatch, TransitionSpec
from stars_dist.monitor.replay_metrics import policy_lag, replay_metrics, return_by_task, success_by_task

NAMES = ["reach", "push", "pull"]
PLAN = ReplayPlan(
    TransitionSpec(3, 2, 1),
    ReplayConfig(storage="memory", capacity_per_task=10, warmup_steps_per_task=1, num_shards=2),
    SamplingConfig(batch_size_per_task=2),
    total_steps=300,
    chunk_steps=10,
    batches_per_call=1,
    seed=0,
    gamma=0.99,
)


def chunk(task: int, rows: int, sequence: int, success: bool | None) -> Chunk:
    def zeros(*shape: int) -> np.ndarray:
        return np.zeros((rows, *shape), np.float32)

    task_id = np.full(rows, task, np.int32)
    transitions = TransitionBatch(zeros(2), zeros(1), zeros(), zeros(2), np.zeros(rows, bool), task_id)
    return Chunk(ChunkId(0, 0, sequence), transitions, (EpisodeEnd(task, 2.0, rows, success, 0),), 0)


def test_totals_and_tasks() -> None:
    shards = [Shard(index, PLAN) for index in range(2)]
    for shard in shards:
        shard.set_insert_limit(0, 10**9)
    shards[0].insert(chunk(0, 6, 0, True), 0.0)
    for _ in range(2):
        shards[0].insert(chunk(0, 6, 1, True), 0.0)
    shards[1].insert(chunk(1, 3, 0, False), 0.0)
    drawn = shards[0].sample(np.array([[4, 0, 0]]), 0, 10**9)
    shards[0].insert(chunk(0, 10, 2, None), 0.0)
    shards[0].update_priorities(drawn.task_id, drawn.key, np.ones(4))
    values = replay_metrics([shard.stats() for shard in shards], NAMES)
    mass = float(shards[0].stats().priority_mass[0])
    expected = {
        "replay/size": 13,
        "replay/inserted": 25,
        "replay/sampled": 4,
        "replay/stale_updates": 4,
        "replay/duplicate_chunks": 1,
        "replay/size/reach": 10,
        "replay/inserted/reach": 22,
        "replay/sampled/reach": 4,
        "replay/priority_mass/reach": mass,
        "replay/size/push": 3,
        "rollout/success/reach": 1.0,
        "rollout/success/push": 0.0,
    }
    assert {name: values[name] for name in expected} == expected
    assert 0 <= values["replay/sampled_age"] == values["replay/sampled_age/reach"] <= 9
    assert math.isnan(values["replay/sampled_age/push"])
    assert "rollout/success/pull" not in values


def test_a_task_without_a_flag_has_a_return_and_no_success() -> None:
    shard = Shard(0, PLAN)
    shard.set_insert_limit(0, 10**9)
    shard.insert(chunk(0, 6, 0, None), 0.0)
    values = replay_metrics([shard.stats()], NAMES)
    assert values["rollout/return/reach"] == 2.0
    assert "rollout/success/reach" not in values


def test_success_and_return_are_gathered_by_task() -> None:
    shard = Shard(0, PLAN)
    shard.set_insert_limit(0, 10**9)
    assert np.isnan(success_by_task([shard.stats()])).all()
    shard.insert(chunk(0, 5, 0, success=True), 0.0)
    assert success_by_task([shard.stats()])[0] == 1.0
    assert return_by_task([shard.stats()])[0] == 2.0 and policy_lag([shard.stats()]) == (0.0, 0.0)
