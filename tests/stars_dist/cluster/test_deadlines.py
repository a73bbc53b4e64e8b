"""The watch over one process: which silence is past which deadline. Every kind of process has a row in the table."""

from __future__ import annotations

from typing import get_args

import pytest

from stars_dist.cluster.deadlines import SLOW_START_S, Deadlines, Kind, Watch, deadlines, running_clock
from stars_dist.cluster.running_clock import RunningClock
from stars_dist.config.run_config import RunConfig

LIMITS = Deadlines(start_s=100.0, answer_s=10.0, progress_s=30.0)


@pytest.fixture
def clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
def watch(clock: RunningClock) -> Watch:
    return Watch(LIMITS, clock)


def test_every_kind_of_process_has_deadlines_and_is_found_within_a_minute() -> None:
    table = deadlines(RunConfig.model_validate({}))
    assert set(table) == set(get_args(Kind))
    assert all(0 < limits.answer_s <= 60 for limits in table.values())
    assert SLOW_START_S < 60
    soon = deadlines(RunConfig.model_validate({"answer_timeout_s": 3.0}))
    assert {soon[kind].answer_s for kind in ("learner", "shard", "coordinator")} == {3.0}


@pytest.mark.parametrize("seconds", [0.5, 3.0, 45.0])
def test_a_pause_alone_takes_nobody_past_a_deadline_however_soon_that_is(seconds: float) -> None:
    """As while the coordinator is frozen: the first heartbeats that its successor tells of are those of a few."""
    actors = {"hang_timeout_s": seconds, "weights_poll_s": 0.1}
    config = RunConfig.model_validate({"actors": actors, "answer_timeout_s": seconds})
    time = iter([0.0, 11.0])
    clock = running_clock(config, lambda: next(time))
    watches = [Watch(limits, clock) for limits in deadlines(config).values()]
    for watch in watches:
        watch.record_placed()
        watch.record_answer()
        watch.record_question()
    clock.tick()
    assert [watch.overdue() for watch in watches] == [None] * len(watches)


def test_a_process_that_waits_for_a_core_is_not_late(watch: Watch, clock: RunningClock) -> None:
    clock.now += 10_000.0
    assert watch.overdue() is None
    assert str(watch.slow_start()).startswith("has found no place in the cluster after 10000 s: its cores ")
    assert watch.slow_start() is None, "once"
    watch.record_placed()
    assert watch.overdue() is None and watch.slow_start() is None


def test_one_that_never_gives_its_first_answer_is_named_once_and_found(
    watch: Watch, clock: RunningClock
) -> None:
    clock.now += 50.0
    watch.record_placed()
    clock.now += SLOW_START_S + 1
    assert watch.slow_start(not_before=clock.now - 5.0) is None, "others have just arrived"
    assert (
        watch.slow_start()
        == "has not answered 46 s after its start; started again in 54 s if it still has not"
    )
    assert watch.slow_start() is None and watch.overdue() is None
    clock.now += 100.0 - SLOW_START_S
    assert watch.overdue() == "no answer 101 s after its start"
    assert watch.overdue(not_before=clock.now - 5.0) is None, "others have just arrived"


def test_one_beside_which_others_arrive_has_as_long_from_then(watch: Watch, clock: RunningClock) -> None:
    watch.record_placed()
    clock.now += 400.0
    others = clock.now
    clock.now += 60.0
    expected = "has not answered 460 s after its start; started again in 40 s if it still has not"
    assert watch.slow_start(not_before=others) == expected
    clock.now += 41.0
    assert watch.overdue(not_before=others) == "no answer 501 s after its start"


def test_the_oldest_question_counts(watch: Watch, clock: RunningClock) -> None:
    watch.record_placed()
    watch.record_answer()
    clock.now += 1000.0
    assert watch.overdue() != "no answer for 1000 s", "it was not asked"
    watch.record_answer("further")
    watch.record_question()
    clock.now += 6.0
    watch.record_question()
    clock.now += 6.0
    assert watch.overdue() == "no answer for 12 s"
    watch.record_answer("further")
    assert watch.overdue() is None


def test_one_that_answers_and_gets_no_further_is_found(watch: Watch, clock: RunningClock) -> None:
    watch.record_answer(1)
    for _ in range(31):
        clock.now += 1.0
        watch.record_answer(1)
    assert watch.overdue() == "no step for 31 s"
    watch.record_answer(2)
    assert watch.overdue() is None


def test_a_new_process_begins_anew(watch: Watch, clock: RunningClock) -> None:
    watch.record_answer()
    watch.record_question()
    clock.now += 50.0
    assert watch.overdue()
    watch.restart()
    watch.record_placed()
    assert watch.overdue() is None and not watch.has_answered
