"""A supervised process: whether it runs, how often it failed, when it may start again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import ray
import ray.exceptions

from stars_dist.cluster.cluster import RunningProcess, find_places, kill, name_of
from stars_dist.cluster.deadlines import Deadlines, Kind, Watch
from stars_dist.cluster.failures import Blame, FailureLog, blame_of, describe
from stars_dist.cluster.running_clock import RunningClock


class SupervisedProcess:
    """Starts a process again when it dies, and gives up when it keeps failing without getting anywhere."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        start: Callable[[int], RunningProcess],
        failures_file: Path,
        incarnation: int,
        limits: Deadlines,
        clock: RunningClock,
    ) -> None:
        """`start` starts the process under an incarnation, of which `incarnation` is the first."""
        self.kind: Kind = kind
        self.name = name
        self.incarnation = incarnation
        self.is_finished = False
        self.process: RunningProcess | None = None
        self.node: str | None = None  # where Ray has given it a place
        self.last_heartbeat: int | None = None  # its number, of an actor
        self.watch = Watch(limits, clock)
        self._start = start
        self._failures = FailureLog(name, failures_file, clock)
        self._clock = clock
        self._start_at = float("-inf")
        self._away_since = clock.now

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None

    @property
    def is_alive(self) -> bool:
        """Whether it runs and has answered since its start."""
        return self.is_running and self.watch.has_answered

    @property
    def is_starting(self) -> bool:
        """Whether it runs and has not answered yet."""
        return self.is_running and not self.watch.has_answered

    @property
    def away_since(self) -> float | None:
        """Since when it is neither alive nor finished, by the supervisor's clock; None if it is one of them."""
        return None if self.is_alive or self.is_finished else self._away_since

    def start_if_due(self) -> None:
        """Start the process unless it runs, has finished or must wait after a failure."""
        if not self.is_running and not self.is_finished and self._clock.now >= self._start_at:
            self.watch.restart()
            self.process = self._start(self.incarnation)

    @property
    def waits_for_place(self) -> bool:
        """Whether it was started and Ray has given it no place yet, as far as is known."""
        return self.process is not None and not self.watch.is_placed

    def find_place(self, found: Mapping[str, str] | None = None) -> None:
        """Note when Ray has given it a place: waiting for a core is no failure of a process, starting for long is.

        `found` is what Ray has been asked for already, as by `find_places`.
        """
        if self.process is None or not self.waits_for_place:
            return
        self.node = (find_places([self.process]) if found is None else found).get(name_of(self.process))
        if self.node is not None:
            self.watch.record_placed()

    def start_anew(self) -> None:
        """Have it started again, elsewhere perhaps; that is no failure."""
        if self.process is not None:
            kill(self.process)
        self._forget()
        self._start_at = self._clock.now
        self.incarnation += 1

    def reap(self) -> str | None:
        """Take the end of `run`: return None if it finished, the cause if it failed and is to be started again.

        Raises:
            RunFailedError: as `record_failure`; some errors of its own are such that no restart of a learner mends.
        """
        assert self.process is not None
        try:
            ray.get(self.process.run)
        except ray.exceptions.RayError as error:
            cause, blame = describe(error), blame_of(error)
            # An actor's next episode is another one; a learner goes back to the same checkpoint and data.
            self.record_failure(
                cause, str(error), "process" if blame == "hopeless" and self.kind == "actor" else blame
            )
            return cause
        self.is_finished = True
        self._forget()
        return None

    def record_progress(self, is_new: bool = True) -> None:
        """Note that it has got somewhere since its start, or even further than ever."""
        self._failures.record_progress(is_new)

    def end(self) -> None:
        """Kill the process for good."""
        self.is_finished = True
        if self.process is not None:
            kill(self.process)
            self._forget()

    def record_failure(self, cause: str, details: str, blame: Blame = "process") -> None:
        """Count a failure and have the process started again; what is left of it is killed.

        Raises:
            RunFailedError: see FailureLog.
        """
        if self.process is not None:
            kill(self.process)
        self._forget()
        self._start_at = self._clock.now + self._failures.record(cause, details, self.incarnation, blame)
        self.incarnation += 1

    def _forget(self) -> None:
        if self.is_alive:  # a start that came to nothing leaves it away
            self._away_since = self._clock.now
        self.process = self.node = None
        self.watch.restart()
