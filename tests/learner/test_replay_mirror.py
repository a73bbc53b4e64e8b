"""The mirror draws what the shards would draw, weighs it as they do, and its priorities come back to them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from learner.mirror_size import mirror_bytes
from learner.replay_mirror import ReplayMirror
from replay_service.config import SamplingConfig, TaskPriorityConfig
from replay_service.n_step import lengthen
from replay_service.priority import importance_weights
from replay_service.rows import row_dtype, words
from replay_service.shard import Shard
from replay_service.types import TransitionSpec
from tests.learner.conftest import Replay
from tests.learner.mirrored import BETA, QUOTA, Mirrored
from tests.learner.test_static_update import Operations

DRAWS = 2000


@pytest.fixture
def mirrored(replay: Replay) -> Mirrored:
    replay.warm_up()
    pair = Mirrored(replay)
    pair.fetch()
    pair.set_priorities(seed=1)
    return pair


def shard_probability(replay: Replay, task: int) -> np.ndarray:
    """P(i) of every slot of a task, as its shard has it."""
    tables = replay.shards[task % 2]._content.tables
    table = tables.task_id.tolist().index(task)
    sampling = replay.plan.sampling
    mass = (tables.copy_priority(table) + sampling.priority_epsilon) ** sampling.priority_exponent
    return mass / mass.sum()


def merged(counts: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with all cells below five expected in one, as a chi-squared test needs them."""
    small = expected < 5
    return (
        np.append(counts[~small], counts[small].sum() + 1e-9),
        np.append(expected[~small], expected[small].sum() + 1e-9),
    )


def test_rows_are_the_shards_and_every_task_has_its_quota(mirrored: Mirrored) -> None:
    batch, table, slot = mirrored.mirror.draw(torch.from_numpy(QUOTA), BETA)
    assert torch.bincount(batch.task_id, minlength=3).tolist() == QUOTA.tolist()
    assert torch.equal(batch.task_id, batch.task_id.sort().values) and torch.equal(table, batch.task_id)
    for row in range(batch.num_rows):
        tables = mirrored.replay.shards[int(table[row]) % 2]._content.tables
        index = tables.task_id.tolist().index(int(table[row]))
        stored = tables.copy_rows(index, int(slot[row]), int(slot[row]) + 1)[0]
        for name in ("obs", "action", "next_obs"):
            np.testing.assert_array_equal(getattr(batch, name)[row].numpy(), stored[name])
        assert float(batch.reward[row]) == stored["reward"]
        assert bool(batch.terminated[row]) == stored["terminated"]


def test_rows_are_drawn_by_the_shards_probabilities(mirrored: Mirrored) -> None:
    """Chi-squared over the rows of every task; the tasks' quotas are exact."""
    size = mirrored.feed.size[0]
    counts = np.zeros((3, size))
    for _ in range(DRAWS):
        _, table, slot = mirrored.mirror.draw(torch.tensor([8, 8, 8]), BETA)
        np.add.at(counts, (table.numpy(), slot.numpy()), 1)
    for task in range(3):
        expected = 8 * DRAWS * shard_probability(mirrored.replay, task)
        assert len(expected) == size
        assert stats.chisquare(*merged(counts[task], expected)).pvalue > 1e-4


def test_weights_are_the_samplers(mirrored: Mirrored) -> None:
    batch, table, slot = mirrored.mirror.draw(torch.from_numpy(QUOTA), BETA)
    of_task = [shard_probability(mirrored.replay, task) for task in range(3)]
    probability = np.array([of_task[t][s] for t, s in zip(table.tolist(), slot.tolist(), strict=True)])
    expected = importance_weights(probability, mirrored.feed.size[table.numpy()], float(BETA))
    np.testing.assert_allclose(batch.is_weight.numpy(), expected, rtol=1e-5)


def test_a_row_that_is_drawn_twice_keeps_the_greater_priority(mirrored: Mirrored) -> None:
    draw = mirrored.mirror.draw(torch.from_numpy(QUOTA), BETA)
    same = draw._replace(slot=torch.zeros_like(draw.slot))
    mirrored.mirror.take_touched()
    mirrored.mirror.set_priorities(same, torch.arange(24.0))
    table, slot, priority = mirrored.mirror.take_touched()
    assert table.tolist() == [0, 1, 2] and slot.tolist() == [0, 0, 0]
    assert priority.tolist() == [19.0, 22.0, 23.0]


def test_priorities_that_are_not_finite_change_nothing(mirrored: Mirrored) -> None:
    draw = mirrored.mirror.draw(torch.from_numpy(QUOTA), BETA)
    before = mirrored.mirror._priority.clone()
    mirrored.mirror.set_priorities(draw, torch.full((24,), float("nan")))
    assert torch.equal(mirrored.mirror._priority, before)


def test_new_rows_start_at_the_greatest_priority(mirrored: Mirrored) -> None:
    draw = mirrored.mirror.draw(torch.from_numpy(QUOTA), BETA)
    mirrored.mirror.set_priorities(draw, torch.full((24,), 50.0))
    before = mirrored.feed.size.copy()
    mirrored.replay.sampler.load_state_dict({"samples": 10_000, "inserted": before.tolist()})
    mirrored.replay.sampler.refresh(0)
    mirrored.replay.insert()
    mirrored.fetch()
    assert mirrored.feed.size.min() > before.min()
    newest = mirrored.mirror._priority.view(3, -1)[:, before[0]]
    assert newest.tolist() == [50.0] * 3


def test_a_mirror_that_is_filled_again_equals_the_one_before(mirrored: Mirrored) -> None:
    """What a restarted learner does: rows and priorities come from the shards."""
    again = Mirrored(mirrored.replay)
    again.fetch()
    for name in ("_words", "_priority", "_size"):
        assert torch.equal(getattr(again.mirror, name), getattr(mirrored.mirror, name)), name
    for ours, theirs in zip(again.mirror._tree._levels, mirrored.mirror._tree._levels, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)


def test_a_table_that_its_shard_has_lost_is_filled_anew(mirrored: Mirrored) -> None:
    replay = mirrored.replay
    replay.shards[1] = Shard(1, replay.plan)  # holds task 1, and nothing of it
    replay.sampler._transport._shards[1] = replay.shards[1]  # pyright: ignore[reportAttributeAccessIssue]
    for answer in mirrored.feed.fetch(0):
        mirrored.feed.apply(answer)
    assert mirrored.feed.size.tolist()[1] == 0 and not mirrored.feed.is_ready
    assert mirrored.mirror._tree.total(torch.tensor([1])).item() == 0.0
    replay._sequence = 100  # a new shard knows no chunk
    replay.insert()
    mirrored.fetch()
    assert mirrored.feed.size.tolist()[1] == 50 and mirrored.feed.is_ready


def test_stale_keys_are_dropped(mirrored: Mirrored) -> None:
    """A row that its shard has overwritten since: the priority is of the old one."""
    draw = mirrored.mirror.draw(torch.from_numpy(QUOTA), BETA)
    mirrored.mirror.set_priorities(draw, torch.full((24,), 7.0))
    capacity = mirrored.replay.plan.replay.capacity_per_task
    for shard in mirrored.replay.shards:
        shard._content.tables._counter["count"] += capacity  # as if so many had come
    before = sum(shard.stats().stale_updates for shard in mirrored.replay.shards)
    mirrored.feed.send_priorities()
    assert sum(shard.stats().stale_updates for shard in mirrored.replay.shards) > before


def test_shards_hear_what_was_drawn(mirrored: Mirrored) -> None:
    mirrored.feed.note_drawn(QUOTA)
    mirrored.fetch()
    mirrored.feed.fetch(0)
    sampled = np.zeros(3, np.int64)
    for shard in mirrored.replay.shards:
        sampled[shard.stats().task_id] = shard.stats().sampled
    assert sampled.tolist() == QUOTA.tolist()


def test_a_ring_that_wraps_while_nobody_fetches(replay: Replay) -> None:
    plan = replay.plan
    mirror = Mirrored(replay)
    replay.warm_up()
    mirror.fetch()
    tables = replay.shards[0]._content.tables
    rows = tables.copy_rows(0, 0, 1).repeat(50)
    for first in range(100, 1000 + 450, 50):
        rows["reward"] = np.arange(first, first + 50)
        tables.insert(0, first, rows)
    replay.sampler.refresh(0)
    mirror.fetch()
    reward = mirror.mirror._words.view(3, plan.replay.capacity_per_task, -1)
    column = mirror.mirror._columns(reward[0])["reward"]
    assert column[:450].tolist() == list(range(1000, 1450)) and column[450:].tolist() == list(
        range(450, 1000)
    )


def test_memory_of_a_mirror() -> None:
    """An observation of 39 and an action of 4 twice over: a row has 84 words."""
    spec = TransitionSpec(10, 39, 4)
    needed = mirror_bytes(spec, 100_000)
    assert 10 * 100_000 * 84 * 4 < needed < 1.1 * 10 * 100_000 * (84 * 4 + 8 + 8)
    mirror = ReplayMirror(
        TransitionSpec(3, 5, 2), 1000, Replay().plan.sampling, 1, torch.device("cpu"), 0, 0.99
    )
    tensors = [mirror._words, mirror._priority, mirror._touched, *mirror._tree._levels]
    assert sum(t.nbytes for t in tensors) == mirror_bytes(TransitionSpec(3, 5, 2), 1000)


def test_the_operations_of_a_draw_depend_on_neither_tasks_nor_rows() -> None:
    """But for a level of the tree each 64 times the rows; no table is gone through."""
    largest, counts = [], []
    for tasks, capacity in ((3, 5_000), (300, 5_000), (3, 200_000)):
        sampling = SamplingConfig(
            batch_size_per_task=600 // tasks, task_priority=TaskPriorityConfig(quota_floor=0)
        )
        mirror = ReplayMirror(
            TransitionSpec(tasks, 2, 1), capacity, sampling, 1, torch.device("cpu"), 0, 0.99
        )
        mirror._size.fill_(capacity)
        levels = mirror._tree._levels
        levels[0].fill_(1.0)
        for level, parents in pairwise(levels):
            parents[:, : level.shape[1] // 64] = level.unflatten(1, (-1, 64)).sum(2)
        with Operations() as operations:
            draw = mirror.draw(torch.full((tasks,), 600 // tasks), BETA)
            mirror.set_priorities(draw, torch.ones(600))
        counts.append(len(operations.seen))
        largest.append(operations.largest)
    assert counts[0] == counts[1] and counts[2] < 1.5 * counts[0]
    assert largest == [600 * 64] * 3


@pytest.mark.parametrize("size", [12, 7])
def test_rows_of_several_steps_are_those_of_the_shards(size: int) -> None:
    """Windows over a wrapped ring of episodes of 4, 1 and 7 steps; the last one terminates where the first begins.

    With 7 slots in use what lies behind them, of a table that was lost, is no part of any window.
    """
    spec, steps = TransitionSpec(1, 2, 1), np.array([0, 1, 2, 3, 0, 0, 1, 2, 3, 4, 5, 6])
    of = np.repeat([0, 1, 2], [4, 1, 7])
    rows = np.zeros(12, row_dtype(spec))
    rows["obs"], rows["next_obs"] = np.stack([of, steps], 1), np.stack([of, steps + 1], 1)
    rows["reward"], rows["terminated"][11], rows["next_obs"][11] = np.arange(12), True, rows["obs"][0]
    rows = np.roll(rows, 5)
    sampling = SamplingConfig(batch_size_per_task=64, n_step=3)
    mirror = ReplayMirror(spec, 12, sampling, 1, torch.device("cpu"), 0, gamma=0.9)
    mirror.insert(np.zeros(12, np.int64), np.arange(12), rows, np.ones(12))
    mirror.set_sizes(np.array([size]))
    batch, table, slot = mirror.draw(torch.tensor([64]), BETA)
    drawn = rows[slot.numpy()]
    places, sizes = (table.numpy(), slot.numpy()), np.full(64, size)
    discount = lengthen(drawn, words(rows)[None], places, sizes, 3, 0.9)
    assert len(np.unique(discount)) == 3 and batch.discount is not None
    np.testing.assert_allclose(batch.discount, discount, rtol=1e-6)
    np.testing.assert_allclose(batch.reward, drawn["reward"], rtol=1e-6)
    np.testing.assert_array_equal(batch.next_obs, drawn["next_obs"])
    np.testing.assert_array_equal(batch.terminated, drawn["terminated"])
