"""A repeated question to one process of a run: never more than one under way, never waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import ray
import ray.exceptions

Answer = TypeVar("Answer")


class Poll(Generic[Answer]):
    """Asks every `period_s` and keeps the newest answer; a process that is away simply does not answer."""

    def __init__(self, ask: Callable[[], Any], period_s: float) -> None:
        self.newest: Answer | None = None
        self.answered_at = time.monotonic()
        self._ask = ask
        self._period_s = period_s
        self._asked_at = float("-inf")
        self._under_way: Any | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since the last answer."""
        return time.monotonic() - self.answered_at

    def advance(self) -> Answer | None:
        """The answer that came since the last call, if one did."""
        answer = self._take() if self._under_way is not None else None
        if self._under_way is None and time.monotonic() - self._asked_at >= self._period_s:
            self._asked_at = time.monotonic()
            self._under_way = self._ask()
        return answer

    def _take(self) -> Answer | None:
        done, _ = ray.wait([self._under_way], timeout=0)
        if not done:
            return None
        reference: Any = self._under_way
        self._under_way = None
        try:
            self.newest = ray.get(reference)
        except (ray.exceptions.RayActorError, ray.exceptions.ActorUnavailableError):
            return None
        self.answered_at = time.monotonic()
        return self.newest
