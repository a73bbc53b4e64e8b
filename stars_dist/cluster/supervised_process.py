"""A supervised process: whether it runs, how often it failed, when it may start again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import ray
import ray.exceptions

from stars_dist.cluster.cluster import RunningProcess, kill
from stars_dist.errors import RunFailedError

MAX_FAILURES = 3  # in a row, without progress in between
BACKOFF_S = 2.0  # before the second start after a failure without progress; doubles


Kind = Literal["actor", "learner"]


class SupervisedProcess:
    """Starts a process again when it dies, and gives up when it keeps failing without getting anywhere."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        start: Callable[[int], RunningProcess],
        failures_file: Path,
        incarnation: int,
    ) -> None:
        """`start` starts the process under an incarnation, of which `incarnation` is the first."""
        self.kind: Kind = kind
        self.name = name
        self.incarnation = incarnation
        self.is_finished = False
        self.is_ready = False  # it has answered since its start
        self.process: RunningProcess | None = None
        self._start = start
        self._failures_file = failures_file
        self._failures_in_a_row = 0
        self._start_at = 0.0
        self._away_since = time.monotonic()

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None

    @property
    def is_alive(self) -> bool:
        """Whether it runs and has answered."""
        return self.is_running and self.is_ready

    @property
    def away_since(self) -> float | None:
        """Since when it is neither alive nor finished, by time.monotonic(); None if it is one of them."""
        return None if self.is_alive or self.is_finished else self._away_since

    def start_if_due(self) -> None:
        """Start the process unless it runs, has finished or must wait after a failure."""
        if not self.is_running and not self.is_finished and time.monotonic() >= self._start_at:
            self.process = self._start(self.incarnation)

    def reap(self) -> str | None:
        """Take the end of `run`: return None if it finished, the cause if it failed and is to be started again.

        Raises:
            RunFailedError: as `record_failure`; an error of its own is one that no restart of a learner mends.
        """
        assert self.process is not None
        try:
            ray.get(self.process.run)
        except ray.exceptions.RayError as error:
            cause = describe(error)
            # From the same checkpoint and data a learner would fail again; a killed process is another matter.
            is_hopeless = self.kind == "learner" and isinstance(error, ray.exceptions.RayTaskError)
            self.record_failure(cause, str(error), is_hopeless)
            return cause
        self.is_finished = True
        self._forget()
        return None

    def record_progress(self) -> None:
        """Note that it has done something since its start, so that the next failure counts as the first."""
        self._failures_in_a_row = 0

    def end(self) -> None:
        """Kill the process for good."""
        self.is_finished = True
        if self.process is not None:
            kill(self.process)
            self._forget()

    def record_failure(self, cause: str, details: str, is_hopeless: bool = False) -> None:
        """Count a failure and have the process started again; what is left of it is killed.

        Raises:
            RunFailedError: it failed several times in a row without progress, or there is no hope.
        """
        self._write_failure(cause, details)
        if self.process is not None:
            kill(self.process)
        self._forget()
        if is_hopeless:
            raise RunFailedError(f"{self.name} failed: {cause}; log {self._failures_file}")
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= MAX_FAILURES:
            raise RunFailedError(
                f"{self.name} failed {MAX_FAILURES} times in a row: {cause}; log {self._failures_file}"
            )
        self.incarnation += 1
        self._start_at = time.monotonic() + (BACKOFF_S ** (self._failures_in_a_row - 1) - 1)

    def _write_failure(self, cause: str, details: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        with self._failures_file.open("a", encoding="utf-8") as log:
            log.write(f"{stamp} {self.name}, incarnation {self.incarnation}: {cause}\n{details}\n\n")

    def _forget(self) -> None:
        self.process = None
        self.is_ready = False
        self._away_since = time.monotonic()


def describe(error: BaseException) -> str:
    """Describe in one line what happened to a process."""
    if isinstance(error, ray.exceptions.RayTaskError):
        cause: Any = error.cause
        return f"{type(cause).__name__}: {cause}".splitlines()[0]
    lines = str(error).strip().splitlines()
    if isinstance(error, ray.exceptions.ActorDiedError) and "creation task" not in lines[0]:
        return "its process died"
    return lines[-1].strip()
