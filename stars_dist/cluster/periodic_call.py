"""A call that is repeated to one process of a run: never more than one in flight, never waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import ray
import ray.exceptions

Answer = TypeVar("Answer")


class PeriodicCall(Generic[Answer]):
    """Calls every `period_s` and hands on the answers; a process that is away simply does not answer."""

    def __init__(self, call: Callable[[], Any], period_s: float) -> None:
        self._call = call
        self._period_s = period_s
        self._answered_at = time.monotonic()
        self._called_at = float("-inf")
        self._in_flight: Any | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since the last answer."""
        return time.monotonic() - self._answered_at

    def advance(self) -> Answer | None:
        """Call when it is time; return the answer that came since the last call, if one did."""
        answer = self._take() if self._in_flight is not None else None
        if self._in_flight is None and time.monotonic() - self._called_at >= self._period_s:
            self._called_at = time.monotonic()
            self._in_flight = self._call()
        return answer

    def _take(self) -> Answer | None:
        done, _ = ray.wait([self._in_flight], timeout=0)
        if not done:
            return None
        reference: Any = self._in_flight
        self._in_flight = None
        try:
            answer: Any = ray.get(reference)
        except (ray.exceptions.RayActorError, ray.exceptions.ActorUnavailableError):
            return None
        self._answered_at = time.monotonic()
        return answer
