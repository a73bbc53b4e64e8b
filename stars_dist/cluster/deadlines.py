"""The deadlines of a run's processes in one table, and the watch over one process that applies them."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Literal, NamedTuple

from stars_dist.cluster.running_clock import LONGEST_TICK_S, RunningClock
from stars_dist.config.run_config import RunConfig

Kind = Literal["actor", "learner", "shard", "coordinator", "evaluator"]

ACTOR_START_S = 120.0
SLOW_START_S = 45.0  # after which a process that has not answered yet is named, long before it is given up


NO_PLACE = "has found no place in the cluster"


class Deadlines(NamedTuple):
    """What a process may take, in seconds of the supervisor's own running time."""

    start_s: float  # to its first answer, from when Ray has given it a place
    answer_s: float  # of the oldest question that it has not answered
    progress_s: float  # without a step, while it answers; inf where waiting is its usual state


def deadlines(config: RunConfig) -> dict[Kind, Deadlines]:
    """Return the deadlines of every kind of process."""
    step_s = config.actors.hang_timeout_s
    answer_s = config.answer_timeout_s  # of services and the learner, which answer beside their work
    return {
        "actor": Deadlines(
            ACTOR_START_S, step_s, inf
        ),  # waits for the limiter and for weights with deadlines of its own
        "learner": Deadlines(
            600.0, answer_s, 900.0
        ),  # starts with torch, a checkpoint, and a GPU's first graphs
        "shard": Deadlines(600.0, answer_s, inf),  # may read a snapshot before it answers
        "coordinator": Deadlines(60.0, answer_s, inf),
        "evaluator": Deadlines(120.0, step_s, step_s),
    }


def running_clock(config: RunConfig, read: Callable[[], float] = time.monotonic) -> RunningClock:
    """Return a clock by which a pause alone takes nobody past a deadline, however soon that is."""
    soonest_s = min(min(limits) for limits in deadlines(config).values())
    return RunningClock(read, min(LONGEST_TICK_S, soonest_s / 2))


class Watch:
    """Whether one process keeps its deadlines: it is told of questions, answers and restarts."""

    def __init__(self, deadlines: Deadlines, clock: RunningClock) -> None:
        self._deadlines, self._clock = deadlines, clock
        self.restart()

    def restart(self) -> None:
        """Begin anew with a new process, which owes its first answer once it is placed."""
        self.has_answered = False
        self.is_placed = False
        self._placed_at = self._owes_since = self._progressed_at = self._clock.now
        self._owes_answer = False
        self._progress: object = None
        self._slow_start_told = self._no_place_told = False

    def record_placed(self) -> None:
        """Note that it has a place on a node: from now on its start has a deadline."""
        self.is_placed, self._placed_at = True, self._clock.now

    def record_work(self) -> None:
        """Note that it was given work: until now it had none to get on with."""
        self._progressed_at = self._clock.now

    def record_question(self) -> None:
        """Note that it was asked; further questions before an answer change nothing."""
        if not self._owes_answer:
            self._owes_answer, self._owes_since = True, self._clock.now

    def record_answer(self, progress: object = None) -> None:
        """Note an answer, with whatever changes when the process gets on."""
        if progress != self._progress or not self.has_answered:
            self._progress, self._progressed_at = progress, self._clock.now
        self.has_answered, self._owes_answer = True, False

    @property
    def waited_s(self) -> float:
        """Seconds for which it has waited for a place."""
        return 0.0 if self.is_placed else self._since(self._placed_at)

    @property
    def silent_s(self) -> float:
        """Seconds for which it has owed an answer."""
        if not self.has_answered:
            return self._since(self._placed_at) if self.is_placed else 0.0
        return self._since(self._owes_since) if self._owes_answer else 0.0

    def overdue(self, not_before: float = -inf) -> str | None:
        """Return the cause if it is past a deadline, None if not; a start counts from `not_before` at the earliest."""
        start_s, answer_s, progress_s = self._deadlines
        if not self.has_answered:
            late_s = min(self.silent_s, self._since(not_before))
            return f"no answer {self.silent_s:.0f} s after its start" if late_s > start_s else None
        if self.silent_s > answer_s:
            return f"no answer for {self.silent_s:.0f} s"
        if (idle_s := self._since(self._progressed_at)) > progress_s:
            return f"no step for {idle_s:.0f} s"
        return None

    def slow_start(self, not_before: float = -inf) -> str | None:
        """Return once, for a person, that the process takes long to start, and once that it has no place to.

        A start counts from `not_before` at the earliest.
        """
        if self.has_answered:
            return None
        waited_s = self._since(self._placed_at)
        if not (self.is_placed or self._no_place_told) and waited_s > SLOW_START_S:
            self._no_place_told = True
            return (
                f"{NO_PLACE} after {waited_s:.0f} s: its cores or GPU are taken; it starts once they are free"
            )
        late_s = min(self.silent_s, self._since(not_before))
        if self._slow_start_told or late_s <= SLOW_START_S:
            return None
        self._slow_start_told = True
        return (
            f"has not answered {self.silent_s:.0f} s after its start; started again in "
            f"{self._deadlines.start_s - late_s:.0f} s if it still has not"
        )

    def _since(self, moment: float) -> float:
        return self._clock.now - moment
