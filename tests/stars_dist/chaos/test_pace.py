"""The pace of faults: as drawn, and faster after one that was late."""

from __future__ import annotations

from stars_dist.chaos.pace import Pace
from stars_dist.chaos.schedule import KINDS, Fault, draw_schedule

KILL = next(kind for kind in KINDS if kind.name == "kill actor")


def fault(number: int, at_s: float, hold_s: float = 0.0) -> Fault:
    return Fault(number, at_s, KILL, hold_s, 0.0)


def strike_all(schedule: list[Fault], held_until: dict[int, float] | None = None) -> list[float]:
    """When each fault is struck, where some cannot be before a moment."""
    pace, at_s, struck = Pace(), 0.0, []
    for each in schedule:
        at_s = max(at_s, pace.due_s(each), (held_until or {}).get(each.number, 0.0))
        pace.record(each, at_s)
        struck.append(at_s)
    return struck


def test_in_time_they_come_as_drawn() -> None:
    schedule = draw_schedule(1, 30)
    assert strike_all(schedule) == [each.at_s for each in schedule]


def test_after_one_that_was_late_rests_are_half_until_they_are_in_time() -> None:
    schedule = [fault(number, 10.0 * number) for number in range(1, 7)]
    assert strike_all(schedule, {1: 30.0}) == [30.0, 35.0, 40.0, 45.0, 50.0, 60.0]


def test_what_is_held_stays_held() -> None:
    schedule = [fault(1, 10.0, hold_s=120.0), fault(2, 150.0), fault(3, 170.0)]
    assert strike_all(schedule, {1: 100.0}) == [100.0, 230.0, 240.0]
