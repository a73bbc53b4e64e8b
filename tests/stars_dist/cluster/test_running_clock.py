"""The supervisor's clock, read from a fake one: its own pauses are nobody's silence."""

from __future__ import annotations

from stars_dist.cluster.deadlines import Deadlines, Watch
from stars_dist.cluster.running_clock import LONGEST_TICK_S, RunningClock


class FakeTime:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_time_passes_with_ticks_alone() -> None:
    time = FakeTime()
    clock = RunningClock(time)
    time.now += 2.0
    assert clock.now == 0.0
    assert clock.tick() == 0.0 and clock.now == 2.0


def test_a_pause_counts_as_one_long_tick_and_is_told() -> None:
    time = FakeTime()
    clock = RunningClock(time)
    time.now += 150.0
    assert clock.tick() == 150.0 - LONGEST_TICK_S
    assert clock.now == LONGEST_TICK_S
    time.now += 0.2
    assert clock.tick() == 0.0


def test_a_driver_that_was_paused_blames_nobody_and_one_that_ran_does() -> None:
    time = FakeTime()
    clock = RunningClock(time)
    watch = Watch(Deadlines(60.0, 45.0, float("inf")), clock)
    watch.record_placed()
    watch.record_answer()
    watch.record_question()
    for pause_s in (150.0, 3600.0, 86400.0):
        time.now += pause_s
        clock.tick()
        assert watch.overdue() is None
    for _ in range(230):
        time.now += 0.2
        clock.tick()
    assert watch.overdue() == "no answer for 61 s"
