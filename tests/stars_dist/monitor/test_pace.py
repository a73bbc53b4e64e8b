"""Rates and the time that is left, from hand-worked clocks."""

from __future__ import annotations

import pytest

from stars_dist.monitor.pace import Pace, duration_words, pace_words


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_time_left_counts_updates_since_the_warm_up_and_waits_for_twenty(clock: Clock) -> None:
    pace = Pace(total_updates=1000, clock=clock)
    for seconds, env_steps, updates in ((1, 2000, 0), (2, 2000, 5), (10, 2100, 24)):
        clock.now = 100.0 + seconds
        pace.record(env_steps, updates)
        assert pace.seconds_left is None
    clock.now = 112.0
    pace.record(2200, 25)  # 20 in 10 s: the 2000 steps of the warm-up, made in a second, count for nothing
    assert pace.seconds_left == pytest.approx(975 / 2)


def test_a_learner_that_went_back_to_a_checkpoint_begins_anew(clock: Clock) -> None:
    pace = Pace(total_updates=1000, clock=clock)
    for seconds, updates in ((0, 500), (10, 600), (20, 400), (30, 410)):
        clock.now = 100.0 + seconds
        pace.record(5000, updates)
    assert pace.seconds_left is None and pace.updates_per_s == pytest.approx(1.0)
    clock.now = 140.0
    pace.record(5000, 420)
    assert pace.seconds_left == pytest.approx(580.0)


def test_rates_are_of_the_newest_minute(clock: Clock) -> None:
    pace = Pace(total_updates=10_000, clock=clock)
    for second in range(200):
        clock.now = 100.0 + second
        pace.record(env_steps=100 * second if second < 100 else 10_000, learner_steps=2 * second)
    assert pace.env_steps_per_s == 0.0
    assert pace.updates_per_s == pytest.approx(2.0)


def test_nothing_is_known_at_first(clock: Clock) -> None:
    pace = Pace(total_updates=10, clock=clock)
    assert (pace.env_steps_per_s, pace.updates_per_s, pace.seconds_left) == (0.0, 0.0, None)


@pytest.mark.parametrize(
    ("actor_wait", "learner_wait", "words"),
    [
        (0.85, 0.02, "the learner set the pace: actors waited 85% of their time, it 2%"),
        (0.02, 0.60, "the actors set the pace: the learner waited 60% of its time, they 2%"),
        (0.05, 0.04, "actors and learner kept pace: they waited 5% and 4% of their time"),
    ],
)
def test_who_set_the_pace(actor_wait: float, learner_wait: float, words: str) -> None:
    assert pace_words(actor_wait, learner_wait) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (5_000, "83 min"),
        (7_200, "2.0 h"),
        (100_000, "28 h"),
        (200_000, "2.3 days"),
        (2_000_000, "23 days"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words
