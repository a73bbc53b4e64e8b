"""The failures of one process: what they were, when it may start again, and when the run gives up."""

from __future__ import annotations

import errno
import re
import time
from collections import deque
from pathlib import Path
from typing import Literal

import ray.exceptions

from replay_service.full_disk import is_full_disk
from replay_service.transport import ShardUnavailable
from stars_dist.cluster.running_clock import RunningClock
from stars_dist.errors import RunFailedError

MAX_FAILURES = 3  # in a row, without progress in between
MAX_OUTAGES = 10  # the same of the infrastructure's failures, over some minutes
WINDOW_S = 600.0
MAX_FREQUENT = 10  # failures of one kind in that time, with or without progress
MAX_FREQUENT_DEATHS = 30  # the same of a process that was killed or crashed without a word
BACKOFF_S = 2.0  # before the second start after a failure without progress; doubles
LONGEST_BACKOFF_S = 60.0
MOST_UNWRITTEN = 1 << 20  # characters of failures that a full disk has not taken
DIED = "its process died"

Blame = Literal["process", "infrastructure", "hopeless"]

_OUTAGE_ERRNO = {errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EMFILE}
# A lost node, or a full disk where Ray is the one to write, gives nothing but a text
_OUTAGE_TEXTS = ("No space left on device", "node has died", "preempted")
# From the same checkpoint and data these come again. TimeoutError is the learner's stall.
_HOPELESS = ("NonFiniteLossError", "AssertionError", "ValueError", "TimeoutError")


class FailureLog:
    """Counts the failures of one process, and writes each to the run's failures.log."""

    def __init__(self, name: str, file: Path, clock: RunningClock) -> None:
        self._name, self._file, self._clock = name, file, clock
        self._in_a_row = 0
        self._outages_in_a_row = 0
        self._unwritten = ""
        self._recent: deque[tuple[float, str]] = deque(maxlen=200)

    def record_progress(self, is_new: bool = True) -> None:
        """Note progress since its start, so that the next failure counts as the first.

        Outages go on counting until it gets further than it ever was: a full disk ends each try at one checkpoint.
        """
        self._in_a_row = 0
        if is_new:
            self._outages_in_a_row = 0

    def record(self, cause: str, details: str, incarnation: int, blame: Blame = "process") -> float:
        """Count a failure and return the seconds to wait before the next start.

        Raises:
            RunFailedError: too many failures in a row without progress, or of one kind in short time, or no hope.
        """
        self._write(cause, details, incarnation)
        if blame == "hopeless":
            raise self._run_failed(cause, "failed")
        if blame == "infrastructure":
            self._outages_in_a_row += 1
            return self._wait_s(self._outages_in_a_row, MAX_OUTAGES, cause)
        self._check_frequency(cause)
        self._in_a_row += 1
        return self._wait_s(self._in_a_row, MAX_FAILURES, cause)

    def _wait_s(self, in_a_row: int, most: int, cause: str) -> float:
        if in_a_row >= most:
            raise self._run_failed(cause, f"failed {in_a_row} times in a row")
        return min(BACKOFF_S ** (in_a_row - 1) - 1, LONGEST_BACKOFF_S)

    def _check_frequency(self, cause: str) -> None:
        now, kind = self._clock.now, re.split(r":|\d", cause, maxsplit=1)[0]
        self._recent.append((now, kind))
        count = sum(at > now - WINDOW_S and other == kind for at, other in self._recent)
        if count >= (MAX_FREQUENT_DEATHS if cause == DIED else MAX_FREQUENT):
            raise self._run_failed(cause, f"failed {count} times in {WINDOW_S / 60:.0f} minutes")

    def _run_failed(self, cause: str, what: str) -> RunFailedError:
        return RunFailedError(f"{self._name} {what}: {cause}; log {self._file}")

    def _write(self, cause: str, details: str, incarnation: int) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
        record = f"{stamp} {self._name}, incarnation {incarnation}: {cause}\n{details}\n\n"
        self._unwritten = f"{self._unwritten}{record}"[-MOST_UNWRITTEN:]
        try:
            # as a whole or not at all, so that it can be tried again with the next failure
            with self._file.open("ab", buffering=0) as log:
                size, data = log.tell(), self._unwritten.encode()
                if log.write(data) < len(data):
                    log.truncate(size)
                    return
        except OSError:  # the disk may be the failure that is to be written down
            return
        self._unwritten = ""


def blame_of(error: BaseException) -> Blame:
    """Decide whether a failure is the process's own, one that no restart mends, or an outage that may pass."""
    if not isinstance(error, ray.exceptions.RayTaskError):
        is_outage = getattr(error, "preempted", False) or isinstance(
            error, ray.exceptions.ActorUnavailableError
        )
        return "infrastructure" if is_outage or _names_outage(error) else "process"
    cause: BaseException = error.cause
    if isinstance(cause, ray.exceptions.RayTaskError):  # of a process that this one had called
        return blame_of(cause)
    if isinstance(cause, ShardUnavailable | ray.exceptions.RayError) or _names_outage(cause):
        return "infrastructure"
    if is_full_disk(cause) or (isinstance(cause, OSError) and cause.errno in _OUTAGE_ERRNO):
        return "infrastructure"
    names = {base.__name__ for base in type(cause).__mro__}
    return "hopeless" if names & set(_HOPELESS) else "process"


def describe(error: BaseException) -> str:
    """Describe in one line what happened to a process."""
    if isinstance(error, ray.exceptions.RayTaskError):
        cause: BaseException = error.cause
        return f"{type(cause).__name__}: {cause}".splitlines()[0]
    lines = str(error).strip().splitlines()
    if isinstance(error, ray.exceptions.ActorDiedError) and not is_creation_error(error):
        return DIED
    return lines[-1].strip()


def is_creation_error(error: BaseException) -> bool:
    """Return whether a process raised while it was built: Ray does not start such a one again."""
    return (
        isinstance(error, ray.exceptions.ActorDiedError) and "creation task" in str(error).partition("\n")[0]
    )


def _names_outage(error: BaseException) -> bool:
    return any(text in str(error) for text in _OUTAGE_TEXTS)
