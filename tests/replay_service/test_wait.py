"""Reports, deadlines and sleeps of a wait, on a clock that the test turns."""

import logging

import pytest

from replay_service import wait as wait_module
from replay_service.wait import Wait

logger = logging.getLogger("replay_service.test_wait")


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(wait_module, "time", clock)
    return clock


def test_times_count_from_the_start(clock: Clock) -> None:
    wait = Wait(logger, 30.0)
    clock.now += 12.0
    assert (wait.elapsed_s, wait.remaining_s, wait.is_over) == (12.0, 18.0, False)
    clock.now += 18.0
    assert (wait.remaining_s, wait.is_over) == (0.0, True)
    clock.now += 5.0
    assert (wait.elapsed_s, wait.remaining_s, wait.is_over) == (35.0, 0.0, True)


def test_a_wait_of_no_time_is_over_at_once(clock: Clock) -> None:
    assert Wait(logger, 0.0).is_over


def test_a_report_every_ten_seconds_names_what_is_awaited_and_since_when(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    wait = Wait(logger, 60.0)
    for second in range(26):
        wait.report(f"actor 3 waits for weights {second}")
        clock.now += 1.0
    expected = ["actor 3 waits for weights 10 (for 10 s)", "actor 3 waits for weights 20 (for 20 s)"]
    assert caplog.messages == expected
    assert {(record.name, record.levelname) for record in caplog.records} == {(logger.name, "WARNING")}


def test_after_a_restart_deadline_and_reports_begin_anew(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    wait = Wait(logger, 15.0)
    clock.now += 14.0
    wait.restart()
    clock.now += 9.0
    wait.check("a batch")
    assert not caplog.messages and wait.remaining_s == 6.0


class NoAnswerError(TimeoutError):
    """What a caller calls it."""


@pytest.mark.parametrize("error", [TimeoutError, NoAnswerError])
def test_a_check_reports_before_the_deadline_and_raises_past_it(
    error: type[TimeoutError], clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    wait = Wait(logger, 15.0, error)
    clock.now += 12.0
    wait.check("shard 0")
    assert caplog.messages == ["shard 0 (for 12 s)"]
    clock.now += 3.0
    with pytest.raises(error, match=r"^shard 0 \(waited 15 s\)$"):
        wait.check("shard 0")


def test_a_sleep_ends_at_the_deadline(clock: Clock) -> None:
    wait = Wait(logger, 1.0)
    for _ in range(3):
        wait.sleep(0.4)
    assert wait.elapsed_s == pytest.approx(1.0)
    wait.sleep(0.4)
    assert wait.elapsed_s == pytest.approx(1.0)
