"""Shares of draws: together they are the whole batch, one limiter admits them, and nothing is drawn twice or never."""

from __future__ import annotations

import numpy as np
import pytest

from replay_service.priority import importance_weights
from replay_service.sampler import ReplayFinished, SampleTimeout
from replay_service.shared_draws import Draw, SharedSampler, share_of
from replay_service.transport import LocalTransport
from replay_service.types import ShardStats
from tests.learner.conftest import Replay


class Board:
    """Draws in this process."""

    def __init__(self) -> None:
        self.draws: dict[int, Draw] = {}

    def post(self, number: int, draw: Draw) -> None:
        assert number == len(self.draws)
        self.draws[number] = draw

    def read(self, number: int, timeout_s: float) -> Draw | None:
        return self.draws.get(number)


class Group:
    """Learners of one replay service, each with a sampler of its own."""

    def __init__(self, size: int, replay: Replay | None = None) -> None:
        self.replay, self.board = replay or Replay(), Board()
        plan, transport = self.replay.plan, LocalTransport(self.replay.shards)
        self.leads = self.replay.sampler
        samplers = [self.leads, *(Replay().sampler for _ in range(size - 1))]
        self.samplers = [
            SharedSampler(plan, transport, sampler, self.board, rank, size)
            for rank, sampler in enumerate(samplers)
        ]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_add_up_and_are_even(size: int) -> None:
    rng = np.random.default_rng(0)
    quota = rng.integers(0, 9, (50, 7))
    shares = [share_of(quota, rank, size) for rank in range(size)]
    np.testing.assert_array_equal(sum(shares), quota)
    of_task = np.stack(shares)
    assert (of_task.max(axis=0) - of_task.min(axis=0)).max() <= 1
    of_batch = of_task.sum(axis=2)
    assert (of_batch.max(axis=0) - of_batch.min(axis=0)).max() <= 1


def test_every_learner_draws_its_share_of_the_same_quotas() -> None:
    group = Group(3)
    group.replay.warm_up()
    drawn = [sampler.sample(2, 0, 0.5, 1.0) for sampler in group.samplers]
    for number in range(2):
        sizes = sum(batches[number].group_sizes for batches in drawn)
        np.testing.assert_array_equal(sizes, group.board.draws[0].quota[number])
        assert all(len(batches[number].is_weight) == 8 for batches in drawn)
    assert group.leads._limiter.samples == 2 * group.replay.plan.batch_size
    rows = sum(int(shard.stats().sampled.sum()) for shard in group.replay.shards)
    assert rows == 2 * group.replay.plan.batch_size


def test_weights_of_all_shares_have_one_scale() -> None:
    group = Group(2)
    group.replay.warm_up()
    for sampler in group.samplers:
        (batch,) = sampler.sample(1, 0, 0.7, 1.0)
        sizes = np.full(len(batch.is_weight), 100)
        expected = importance_weights(batch.info.probability, sizes, 0.7, is_scaled=False)
        np.testing.assert_allclose(batch.is_weight, expected, rtol=1e-6)


def test_without_leave_nobody_draws() -> None:
    group = Group(2)
    for sampler, words in zip(group.samplers, ("below the warm-up", "has posted 0 draws"), strict=True):
        with pytest.raises(SampleTimeout, match=words):
            sampler.sample(1, 0, 0.5, 0.02)
    assert not group.board.draws and group.leads._limiter.samples == 0


def test_one_limiter_holds_all_learners() -> None:
    group = Group(2)
    group.replay.warm_up()
    with pytest.raises(SampleTimeout, match="limiter cursor"):
        for _ in range(1000):
            for sampler in group.samplers:
                sampler.sample(1, 0, 0.5, 0.02)
    limiter, posted = group.leads._limiter, len(group.board.draws)
    assert limiter.samples == posted * group.replay.plan.batch_size > 0
    assert limiter.cursor - group.replay.plan.batch_size < -limiter.error_buffer


def test_a_draw_that_found_a_shard_empty_goes_on_and_is_posted_once() -> None:
    group = Group(2)
    group.replay.warm_up()
    first, second = group.samplers
    for sampler in group.samplers:
        sampler.sample(1, 0, 0.5, 1.0)
    lost = Replay()
    group.replay.shards[1] = lost.shards[1]
    for sampler in (first, second, first):
        with pytest.raises(SampleTimeout, match="has lost transitions"):
            sampler.sample(1, 1, 0.5, 0.1)
    assert len(group.board.draws) == 2
    group.replay.insert()
    assert len(first.sample(1, 1, 0.5, 5.0)) == 1 and len(group.board.draws) == 2
    (batch,) = second.sample(1, 1, 0.5, 5.0)
    np.testing.assert_array_equal(batch.group_sizes, share_of(group.board.draws[1].quota, 1, 2)[0])


def test_a_draw_whose_rows_are_lost_for_good_ends_the_run() -> None:
    """Every task has stored its steps, so nothing fills the tables of a shard that has lost them."""
    group = Group(2, Replay(total_steps=300))
    group.replay.warm_up()
    for sampler in group.samplers:
        sampler.sample(1, 0, 0.5, 1.0)
    group.replay.shards[1] = Replay(total_steps=300).shards[1]
    with pytest.raises(ReplayFinished):
        group.samplers[0].sample(1, 1, 0.5, 0.1)


def test_a_draw_goes_on_if_a_last_chunk_is_stored_before_the_loss_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every task has stored its steps, but the run has updates to make from what there is."""
    group, lost = Group(2, Replay(total_steps=300)), Replay(total_steps=300)
    group.replay.warm_up()
    group.leads.refresh(0)
    shard = group.replay.shards[1] = lost.shards[1]
    answer = shard.set_insert_limit

    def after_a_chunk(*limit: int) -> ShardStats:
        lost.insert()
        return answer(*limit)

    monkeypatch.setattr(shard, "set_insert_limit", after_a_chunk)
    assert len(group.samplers[0].sample(1, 1, 0.5, 5.0)) == 1
