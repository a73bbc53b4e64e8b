"""Merging the answers of shards into batches."""

from collections.abc import Callable

import numpy as np

from replay_service.batching import merge_samples
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import Chunk


def test_answers_of_two_shards_become_batches_sorted_by_task(
    make_plan: Callable[..., ReplayPlan], make_chunk: Callable[..., Chunk]
) -> None:
    plan = make_plan(3, {"num_shards": 2})
    shards = [Shard(index, plan) for index in range(2)]
    for task in range(3):
        shards[task % 2].insert(make_chunk(task, 4), 0.0)
    quota = np.array([[1, 2, 0], [0, 1, 3]])
    answers = [shard.sample(quota, 0, 0) for shard in shards]
    first, second = merge_samples(answers, quota, 0.4)
    assert first.discount is None
    assert first.group_sizes.tolist() == [1, 2, 0] and second.group_sizes.tolist() == [0, 1, 3]
    assert first.transitions.task_id.tolist() == [0, 1, 1]
    assert second.transitions.task_id.tolist() == [1, 2, 2, 2]
    assert second.info.shard.tolist() == [1, 0, 0, 0]
    assert first.info.key.tolist() == [answers[0].key[0], *answers[1].key[:2]]
    for batch in (first, second):
        rows = batch.transitions
        np.testing.assert_array_equal(rows.reward - rows.obs[:, 0], np.float32(0.125) * rows.task_id)
        np.testing.assert_allclose(batch.info.probability, 0.25)
        assert batch.is_weight.tolist() == [1.0] * len(rows.task_id)


def test_discounts_of_longer_rows_are_merged_as_the_rows_are(
    make_plan: Callable[..., ReplayPlan], make_chunk: Callable[..., Chunk]
) -> None:
    """Tasks 0 and 2 have rows that go on in the next one, task 1 has none."""
    plan = make_plan(3, {"num_shards": 2}, {"n_step": 2}, gamma=0.5)
    shards = [Shard(index, plan) for index in range(2)]
    for task in range(3):
        chunk = make_chunk(task, 4)
        columns = chunk.transitions
        next_obs = columns.next_obs if task == 1 else np.roll(columns.obs, -1, axis=0)
        moved = columns._replace(next_obs=next_obs, terminated=np.zeros(4, np.bool_))
        shards[task % 2].insert(chunk._replace(transitions=moved), 0.0)
    quota = np.array([[20, 20, 20], [5, 30, 10]])
    for batch in merge_samples([shard.sample(quota, 0, 0) for shard in shards], quota, 0.4):
        assert batch.discount is not None
        rows, serial = batch.transitions, batch.transitions.obs[:, 0]
        goes_on = (rows.task_id != 1) & (serial < 3)
        np.testing.assert_array_equal(batch.discount, np.where(goes_on, 0.25, 0.5))
        own = serial + np.float32(0.125) * rows.task_id
        np.testing.assert_allclose(rows.reward, np.where(goes_on, 1.5 * own + 0.5, own))
