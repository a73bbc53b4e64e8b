"""When the learner's checkpoints are due."""

from __future__ import annotations

import pytest

from learner.checkpoint_period import CheckpointPeriod


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("learner.checkpoint_period.time.monotonic", lambda: now[0])
    return now


def saved_at(period: CheckpointPeriod, first: int, last: int) -> list[int]:
    saved = []
    for steps in range(first, last + 1):
        if period.is_due(steps):
            saved.append(steps)
            period.restart(steps)
    return saved


def test_by_updates_at_every_multiple_also_after_a_resume(clock: list[float]) -> None:
    assert saved_at(CheckpointPeriod(5), 1, 16) == [5, 10, 15]
    assert saved_at(CheckpointPeriod(5), 11, 16) == [15]
    assert saved_at(CheckpointPeriod(1), 8, 9) == [8, 9]


def test_by_time_since_the_last_one_and_not_before_the_first_update(clock: list[float]) -> None:
    period = CheckpointPeriod(every_s=300.0)
    assert saved_at(period, 1, 10) == []
    clock[0] += 300.0
    assert not period.is_due(0)
    assert saved_at(period, 11, 20) == [11]
    clock[0] += 299.0
    assert saved_at(period, 21, 30) == []
    clock[0] += 1.0
    assert saved_at(period, 31, 40) == [31]


def test_whichever_comes_first(clock: list[float]) -> None:
    period = CheckpointPeriod(10, 300.0)
    assert saved_at(period, 1, 13) == [10]
    clock[0] += 300.0
    assert saved_at(period, 14, 25) == [14, 20]


def test_never(clock: list[float]) -> None:
    period = CheckpointPeriod()
    clock[0] += 1e9
    assert saved_at(period, 1, 100) == []
