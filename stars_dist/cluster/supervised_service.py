"""A supervised service: a shard or the coordinator, which Ray starts again behind the same handle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import ray.exceptions

from stars_dist.cluster.cluster import restart_in_place, restarts_of
from stars_dist.cluster.deadlines import Deadlines, Watch
from stars_dist.cluster.failures import FailureLog, describe
from stars_dist.cluster.periodic_call import PeriodicCall
from stars_dist.cluster.running_clock import RunningClock

Answer = TypeVar("Answer")

# At the restarts of a service that starts; that of the death before is counted by the first look.
LOOK_EVERY_S = 10.0


class SupervisedService(Generic[Answer]):
    """Asks a service periodically, and kills it when it is past a deadline.

    A service that dies is back by Ray's doing alone; one that was frozen needs the kill.
    """

    def __init__(
        self,
        name: str,
        handle: Any,
        request: Callable[[], Any],
        period_s: float,
        limits: Deadlines,
        failures_file: Path,
        clock: RunningClock,
    ) -> None:
        self.name = name
        self._handle = handle
        self._failures = FailureLog(name, failures_file, clock)
        self._kills = 0
        self._clock = clock
        self.watch = Watch(limits, clock)
        self._await_start()
        self._call: PeriodicCall[Answer] = PeriodicCall(request, period_s, clock, self.watch)

    def advance(self) -> Answer | None:
        """Return the answer that came since the last call, if one did.

        Raises:
            RunFailedError: it raised, which no restart mends.
        """
        try:
            answer = self._call.advance()
        except ray.exceptions.RayError as error:
            self._failures.record(describe(error), str(error), self._kills, "hopeless")
            raise AssertionError("a hopeless failure raises") from error
        if answer is not None:
            self._failures.record_progress()
        if self._call.was_lost and self.watch.has_answered:
            self._await_start()  # Ray starts it again, and its start has a deadline of its own
        return answer

    def restart_if_overdue(self) -> str | None:
        """Kill the service if it is past a deadline, so that Ray starts it again; return the cause.

        Raises:
            RunFailedError: that has happened too often.
        """
        cause = self.watch.overdue()
        if cause is None:
            return None
        restart_in_place(self._handle)
        self._call.forget()
        self._failures.record(cause, "killed by the supervisor", self._kills)
        self._kills += 1
        self._await_start()
        return cause

    def died_at_start(self) -> str | None:
        """Say that it died before it answered: Ray starts such a one again without end, and no call tells of it.

        Raises:
            RunFailedError: that has happened too often.
        """
        if self.watch.has_answered or self._clock.now < self._look_at:
            return None
        self._look_at = self._clock.now + LOOK_EVERY_S
        before, self._restarts = self._restarts, restarts_of(self._handle)
        if before is None or self._restarts == before:
            return None
        times = self._restarts - before
        cause = f"died before it answered{f', {times} times' if times > 1 else ''}"
        self._failures.record(cause, "started again by Ray", self._kills, "infrastructure")
        self._await_start()
        return cause

    def _await_start(self) -> None:
        self.watch.restart()
        self.watch.record_placed()  # on the driver's node, where there is always room for it
        self._restarts: int | None = None
        self._look_at = self._clock.now + LOOK_EVERY_S
