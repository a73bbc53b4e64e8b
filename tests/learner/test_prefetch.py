"""Batches come in order, no more than are needed, with the replay's errors, from the caller's thread or another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from learner.batch import BatchCopier, sampled_of, sampled_state
from learner.config import LearnerConfig
from learner.prefetch import BatchSource, PrefetchSource
from replay_service.sampler import ReplayFinished, ReplaySampler
from replay_service.shard import Shard
from replay_service.transport import LocalTransport, Pending
from tests.learner.conftest import Replay

CPU = torch.device("cpu")
CONFIG = LearnerConfig(batches_per_call=2, prefetch_calls=2, sample_timeout_s=0.05)


def _source(
    kind: type[BatchSource], replay: Replay, total_updates: int = 100, **kwargs: object
) -> BatchSource:
    config = CONFIG.model_copy(update=kwargs)
    return kind(replay.sampler, CPU, config, replay.plan.sampling.is_exponent, total_updates)


def _drawn(replay: Replay) -> int:
    """Batches that the shards have drawn."""
    rows = sum(int(shard.stats().sampled.sum()) for shard in replay.shards)
    return rows // replay.plan.batch_size


def _until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_batch_is_a_copy_on_the_device(replay: Replay) -> None:
    replay.warm_up()
    batch = _source(BatchSource, replay).next(0, 1.0)
    assert batch is not None and batch.sampled is not None
    assert sum(batch.group_sizes) == batch.num_rows == 24
    transitions = batch.sampled.transitions
    for tensor, column in zip(batch[:6], transitions, strict=True):
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(tensor.numpy(), column)
        assert not np.shares_memory(tensor.numpy(), column)
    assert batch.task_id.dtype == torch.int64 and batch.terminated.dtype == torch.bool
    assert torch.equal(
        batch.task_id, torch.repeat_interleave(torch.arange(3), torch.tensor(batch.group_sizes))
    )
    np.testing.assert_array_equal(batch.is_weight.numpy(), batch.sampled.is_weight)


def test_discounts_of_longer_rows_come_along_also_with_a_state(replay: Replay) -> None:
    replay.warm_up()
    batch = replay.sampler.sample(1, 0, 0.4, 1.0)[0]
    assert batch.discount is None and BatchCopier(CPU)(batch).discount is None
    assert sampled_of(sampled_state(batch)).discount is None
    longer = batch._replace(discount=np.linspace(0.5, 0.9, 24, dtype=np.float32))
    for sampled in (longer, sampled_of(sampled_state(longer))):
        discount = BatchCopier(CPU)(sampled).discount
        assert discount is not None
        np.testing.assert_array_equal(discount.numpy(), longer.discount)


def test_read_only_arrays_are_copied(replay: Replay) -> None:
    """Arrays of an object store are read-only; torch would write through them."""
    replay.warm_up()
    sampled = replay.sampler.sample(1, 0, 0.4, 1.0)[0]
    for column in (*sampled.transitions, sampled.is_weight):
        column.flags.writeable = False
    batch = BatchCopier(CPU)(sampled)
    batch.obs.zero_()
    assert sampled.transitions.obs.any()


@pytest.mark.parametrize("kind", [BatchSource, PrefetchSource])
def test_nothing_yet(kind: type[BatchSource], replay: Replay) -> None:
    source = _source(kind, replay)
    try:
        assert source.next(0, 0.1) is None
        _until(lambda: source.next(0, 0.1) is None and "below the warm-up" in source.blocker)
        assert source.waited_s > 0.05
    finally:
        source.close()


@pytest.mark.parametrize("kind", [BatchSource, PrefetchSource])
def test_draws_no_more_than_the_run_needs(kind: type[BatchSource], replay: Replay) -> None:
    replay.warm_up()
    source = _source(kind, replay, total_updates=3)  # an odd number of batches in calls of two
    try:
        batches = [source.next(step, 5.0) for step in range(3)]
        assert all(batch is not None for batch in batches)
        assert source.next(3, 0.05) is None
        assert _drawn(replay) == 3
    finally:
        source.close()


def test_prefetches_up_to_its_bound_and_refills(replay: Replay) -> None:
    replay.warm_up()
    source = _source(PrefetchSource, replay)
    try:
        _until(lambda: _drawn(replay) == 4)  # two calls of two
        time.sleep(0.1)
        assert _drawn(replay) == 4
        assert source.next(0, 1.0) is not None
        time.sleep(0.1)
        assert _drawn(replay) == 4  # room for half a call
        assert source.next(1, 1.0) is not None
        _until(lambda: _drawn(replay) == 6)
    finally:
        source.close()


def test_close_ends_the_thread(replay: Replay) -> None:
    source = _source(PrefetchSource, replay)
    source.close()
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


@pytest.mark.parametrize("kind", [BatchSource, PrefetchSource])
def test_end_of_the_run_comes_after_the_last_batch(kind: type[BatchSource]) -> None:
    """All steps are stored; the ratio admits some batches and then no more."""
    replay = Replay(total_steps=300)
    replay.warm_up()
    source, got = _source(kind, replay, total_updates=10_000), 0
    try:
        with pytest.raises(ReplayFinished):
            while True:
                got += source.next(got, 5.0) is not None
        assert got == _drawn(replay) > 0
    finally:
        source.close()


def test_errors_of_the_thread_surface_in_the_learner(replay: Replay) -> None:
    replay.warm_up()
    source = _source(PrefetchSource, replay, batches_per_call=3)  # the plan allows two
    try:
        with pytest.raises(ValueError, match="num_batches must be 1 to"):
            source.next(0, 5.0)
    finally:
        source.close()


def test_is_exponent_follows_the_progress(replay: Replay) -> None:
    replay.warm_up()
    asked: list[float] = []
    source = BatchSource(replay.sampler, CPU, CONFIG, lambda p: asked.append(p) or 0.4, 8, learner_steps=4)
    for step in range(4, 8):
        assert source.next(step, 1.0) is not None
    assert asked == [0.5, 0.75]


class SlowTransport(LocalTransport):
    """Answers draws after a while, and counts those in flight at once."""

    def __init__(self, shards: Sequence[Shard], delay_s: float) -> None:
        super().__init__(shards)
        self._delay_s = delay_s
        self.most_in_flight = self._in_flight = 0
        self._lock = threading.Lock()

    def submit(self, shard: int, method: str, *args: object) -> Pending:
        if method != "sample":
            return super().submit(shard, method, *args)
        with self._lock:
            self._in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self._in_flight)
        time.sleep(self._delay_s)
        with self._lock:
            self._in_flight -= 1
        return super().submit(shard, method, *args)


@pytest.mark.parametrize("calls", [1, 3])
def test_so_many_calls_are_in_flight_and_none_is_drawn_too_many(calls: int, replay: Replay) -> None:
    replay.warm_up()
    transport = SlowTransport(replay.shards, 0.05)
    sampler = ReplaySampler(replay.plan, transport)
    config = CONFIG.model_copy(update={"prefetch_calls": calls, "sample_timeout_s": 5.0})
    source = PrefetchSource(sampler, CPU, config, replay.plan.sampling.is_exponent, 11)
    try:
        assert all(source.next(step, 10.0) is not None for step in range(11))
        assert source.next(11, 0.05) is None
    finally:
        source.close()
    assert transport.most_in_flight == calls
    assert _drawn(replay) == 11
    limiter = sampler._limiter
    assert limiter.samples == 11 * replay.plan.batch_size


def test_an_error_in_one_call_waits_for_the_batches_of_the_others(replay: Replay) -> None:
    """The run's last batches are in flight when another call finds that there are no more to come."""
    source = _source(PrefetchSource, replay, total_updates=10_000, prefetch_calls=4)
    drawn, deadline = 0, time.monotonic() + 120
    try:
        with pytest.raises(ReplayFinished):
            while time.monotonic() < deadline:
                replay.insert()
                drawn += source.next(drawn, 0.05) is not None
    finally:
        source.close()
    assert 0 < drawn == _drawn(replay)
