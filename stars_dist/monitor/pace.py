"""The pace of a run: its newest rates, the time that is left, and who waits for whom."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

WINDOW_S = 60.0  # that the newest rates are taken over: steps arrive in whole chunks of every task
SHORTEST_GAP_S = 1.0  # between two moments that are kept
LEAST_UPDATES = 20  # since the warm-up, before they tell how long the rest takes
NO_WAIT = 0.1  # a share of waiting below which nobody waits


class Moment(NamedTuple):
    """Both clocks of a run at one time."""

    time_s: float
    env_steps: int
    learner_steps: int


class Pace:
    """Is told the clocks of a run and computes rates from them."""

    def __init__(self, total_updates: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total_updates, self._clock = total_updates, clock
        self._recent: deque[Moment] = deque()
        self._first: Moment | None = None  # with updates
        self._newest = Moment(clock(), 0, 0)

    def record(self, env_steps: int, learner_steps: int) -> None:
        """Record the clocks; a learner that went back to a checkpoint begins its rates anew."""
        now = Moment(self._clock(), env_steps, learner_steps)
        if learner_steps < self._newest.learner_steps:
            self._recent.clear()
            self._first = None
        self._newest = now
        if self._first is None and learner_steps:
            self._first = now
        if not self._recent or now.time_s - self._recent[-1].time_s >= SHORTEST_GAP_S:
            self._recent.append(now)
        while len(self._recent) > 2 and now.time_s - self._recent[0].time_s > WINDOW_S:
            self._recent.popleft()

    @property
    def env_steps_per_s(self) -> float:
        """Environment steps per second, over the newest minute."""
        return self._rate("env_steps")

    @property
    def updates_per_s(self) -> float:
        """Updates per second, over the newest minute."""
        return self._rate("learner_steps")

    @property
    def seconds_left(self) -> float | None:
        """Seconds for the updates that are left at the rate since the warm-up; None where too few were made.

        Environment steps do not tell: those of the warm-up come many times as fast as the others.
        """
        if self._first is None:
            return None
        made = self._newest.learner_steps - self._first.learner_steps
        if made < LEAST_UPDATES:
            return None
        left = max(0, self._total_updates - self._newest.learner_steps)
        return left * (self._newest.time_s - self._first.time_s) / made

    def _rate(self, clock: str) -> float:
        if not self._recent or self._newest.time_s <= self._recent[0].time_s:
            return 0.0
        first = self._recent[0]
        return (getattr(self._newest, clock) - getattr(first, clock)) / (self._newest.time_s - first.time_s)


def pace_words(actor_wait: float, learner_wait: float) -> str:
    """Say who set the pace of a distributed run, by the shares of their time that the two sides waited."""
    if max(actor_wait, learner_wait) < NO_WAIT:
        return (
            f"actors and learner kept pace: they waited {actor_wait:.0%} and {learner_wait:.0%} of their time"
        )
    if actor_wait >= learner_wait:
        return (
            f"the learner set the pace: actors waited {actor_wait:.0%} of their time, it {learner_wait:.0%}"
        )
    return (
        f"the actors set the pace: the learner waited {learner_wait:.0%} of its time, they {actor_wait:.0%}"
    )


def duration_words(seconds: float) -> str:
    """Say a time in the largest unit that has at least one and a half of it."""
    for unit, length in (("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            amount = seconds / length
            return f"{amount:.1f} {unit}" if amount < 10 and unit != "min" else f"{amount:.0f} {unit}"
    return f"{seconds:.0f} s"
