"""What the learner's side takes for the newest counters of a shard."""

from __future__ import annotations

import time
from typing import Any

from replay_service.service_view import ServiceView


def test_counters_that_arrive_late_are_no_loss_and_change_nothing(make_plan: Any, make_service: Any) -> None:
    service = make_service(make_plan(num_tasks=2))
    view, (shard,) = ServiceView(service.plan), service.shards
    service.fill([4, 4])
    late = shard.stats()
    service.fill([4, 4])
    now = time.monotonic()
    assert not view.record(0, shard.stats(), now) and not view.record(0, late, now)
    assert view.inserted.tolist() == view.size.tolist() == [8, 8]


def test_a_process_that_comes_back_without_rows_has_lost_them_until_it_is_told(
    make_plan: Any, make_service: Any
) -> None:
    service, again = (make_service(make_plan(num_tasks=2)) for _ in range(2))
    view, (shard,) = ServiceView(service.plan), again.shards
    service.fill([8, 8])
    assert not view.record(0, service.shards[0].stats(), time.monotonic())
    for held in (0, 2, 4):
        assert view.record(0, shard.stats(), time.monotonic())
        assert view.size.tolist() == [held, held] and view.inserted.tolist() == [8, 8]
        again.fill([2, 2])
    shard.adopt_inserted(view.inserted.copy())
    assert not view.record(0, shard.stats(), time.monotonic())
    assert view.size.tolist() == [6, 6]


def test_an_answer_of_a_process_before_is_no_loss_but_one_of_the_next_is_heard(
    make_plan: Any, make_service: Any
) -> None:
    """Several calls are in flight: one was answered by a shard that has been started again since, and its rows are."""
    before, again, lost = (make_service(make_plan(num_tasks=2)) for _ in range(3))
    view = ServiceView(before.plan)
    asked_at = time.monotonic()
    before.fill([4, 4])
    again.fill([8, 8])
    assert not view.record(0, again.shards[0].stats(), time.monotonic())
    assert not view.record(0, before.shards[0].stats(), asked_at)
    assert view.inserted.tolist() == view.size.tolist() == [8, 8]
    assert view.record(0, lost.shards[0].stats(), time.monotonic()) and view.size.tolist() == [0, 0]
