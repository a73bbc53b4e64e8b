"""A supervised process: when it is started, and when its failures end the run. No Ray: nothing runs behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_dist.cluster import supervised_process
from stars_dist.cluster.cluster import RunningProcess
from stars_dist.cluster.deadlines import Deadlines
from stars_dist.cluster.running_clock import RunningClock
from stars_dist.cluster.supervised_process import SupervisedProcess
from stars_dist.errors import RunFailedError


def process_of(tmp_path: Path, started: list[int]) -> SupervisedProcess:
    def start(incarnation: int) -> RunningProcess:
        started.append(incarnation)
        return RunningProcess(None, None)

    limits, file = Deadlines(120.0, 60.0, float("inf")), tmp_path / "failures.log"
    return SupervisedProcess("actor", "actor 0 (toy-0)", start, file, 7, limits, RunningClock())


def test_it_is_started_once_and_is_alive_when_it_has_answered(tmp_path: Path) -> None:
    started: list[int] = []
    process = process_of(tmp_path, started)
    assert not process.is_running and process.away_since is not None
    process.start_if_due()
    process.start_if_due()
    assert started == [7]
    assert process.is_running and not process.is_alive and process.away_since is not None
    process.watch.record_answer()
    assert process.is_alive and process.away_since is None


def test_it_is_away_from_its_last_answer_on_however_often_it_fails_at_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage of minutes has its task given to another: it had been away since its newest try alone."""
    monkeypatch.setattr(supervised_process, "kill", lambda process: None)  # there is none
    process = process_of(tmp_path, [])

    def fail_at(seconds: float) -> float | None:
        process._clock.now = seconds
        process.record_failure("no shard answers", "", "infrastructure")
        process._clock.now += 60.0
        process.start_if_due()
        return process.away_since

    assert (fail_at(50.0), fail_at(120.0)) == (0.0, 0.0)
    process.watch.record_answer()
    assert (fail_at(200.0), fail_at(270.0), fail_at(340.0)) == (200.0, 200.0, 200.0)
    process.watch.record_answer()
    process._clock.now = 500.0
    process.start_anew()
    assert process.away_since == 500.0


def test_a_failure_is_written_down_and_the_next_start_is_another_incarnation(tmp_path: Path) -> None:
    started: list[int] = []
    process = process_of(tmp_path, started)
    process.record_failure("ValueError: no", "the whole story")
    text = (tmp_path / "failures.log").read_text()
    assert "actor 0 (toy-0), incarnation 7: ValueError: no\nthe whole story\n" in text
    process.start_if_due()  # at once: the wait doubles from the second failure on
    assert started == [8]


def test_three_failures_in_a_row_end_the_run(tmp_path: Path) -> None:
    process = process_of(tmp_path, [])
    process.record_failure("first", "")
    process.record_failure("second", "")
    process.start_if_due()
    assert not process.is_running, "it waits before it is started for the third time"
    with pytest.raises(
        RunFailedError, match=r"actor 0 \(toy-0\) failed 3 times in a row: third; log .*failures.log"
    ):
        process.record_failure("third", "")


def test_progress_makes_the_next_failure_the_first(tmp_path: Path) -> None:
    process = process_of(tmp_path, [])
    for cause in ("first", "second", "third", "fourth"):
        process.record_failure(cause, "")
        process.record_progress()
    assert process.incarnation == 11


def test_a_hopeless_failure_ends_the_run_at_once(tmp_path: Path) -> None:
    process = process_of(tmp_path, [])
    with pytest.raises(RunFailedError, match="failed: NonFiniteLossError"):
        process.record_failure("NonFiniteLossError", "", "hopeless")


def test_an_ended_process_is_finished_and_not_started_again(tmp_path: Path) -> None:
    started: list[int] = []
    process = process_of(tmp_path, started)
    process.end()
    process.start_if_due()
    assert process.is_finished and process.away_since is None and started == []
