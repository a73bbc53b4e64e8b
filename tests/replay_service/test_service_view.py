"""What the learner's side takes for the newest counters of a shard."""

from __future__ import annotations

from typing import Any

from replay_service.service_view import ServiceView


def test_counters_that_arrive_late_are_no_loss_and_change_nothing(make_plan: Any, make_service: Any) -> None:
    service = make_service(make_plan(num_tasks=2))
    view, (shard,) = ServiceView(service.plan), service.shards
    service.fill([4, 4])
    late = shard.stats()
    service.fill([4, 4])
    assert not view.record(0, shard.stats()) and not view.record(0, late)
    assert view.inserted.tolist() == view.size.tolist() == [8, 8]


def test_a_process_that_comes_back_without_rows_has_lost_them_until_it_is_told(
    make_plan: Any, make_service: Any
) -> None:
    service, again = (make_service(make_plan(num_tasks=2)) for _ in range(2))
    view, (shard,) = ServiceView(service.plan), again.shards
    service.fill([8, 8])
    assert not view.record(0, service.shards[0].stats())
    for held in (0, 2, 4):
        assert view.record(0, shard.stats())
        assert view.size.tolist() == [held, held] and view.inserted.tolist() == [8, 8]
        again.fill([2, 2])
    shard.adopt_inserted(view.inserted.copy())
    assert not view.record(0, shard.stats())
    assert view.size.tolist() == [6, 6]
