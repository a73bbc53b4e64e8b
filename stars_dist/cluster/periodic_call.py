"""A call that is repeated to one process of a run: never more than one in flight, never waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import ray
import ray.exceptions

from stars_dist.cluster.deadlines import Watch
from stars_dist.cluster.failures import is_creation_error
from stars_dist.cluster.running_clock import RunningClock

Answer = TypeVar("Answer")

# Of a process that is away, or was killed under the call: it is called again.
UNANSWERED = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError)


class PeriodicCall(Generic[Answer]):
    """Calls every `period_s`, hands on the answers and tells the watch; a process that is away does not answer."""

    def __init__(self, call: Callable[[], Any], period_s: float, clock: RunningClock, watch: Watch) -> None:
        self._call, self._period_s = call, period_s
        self._clock, self.watch = clock, watch
        self._call_at = float("-inf")
        self._in_flight: Any | None = None
        self.was_lost = False  # the process died under the call, for which there is no answer

    def forget(self) -> None:
        """Give up the call in flight, if there is one: its process was killed."""
        self._in_flight = None

    def settle(self, timeout_s: float) -> Answer | None:
        """Wait for the answer of the call in flight; return None if there is none or it does not come in time."""
        reference, self._in_flight = self._in_flight, None
        if reference is None:
            return None
        try:
            return ray.get(reference, timeout=timeout_s)
        except ray.exceptions.RayError:
            return None

    def advance(self, progress: Callable[[Answer], object] = lambda _: None) -> Answer | None:
        """Call when it is time; return the answer that came since the last call, if one did.

        `progress` picks from an answer what changes while the process gets on.

        Raises:
            RayError: the process raised, while it was built or in the call.
        """
        self.was_lost = False
        answer = self._take() if self._in_flight is not None else None
        if answer is not None:
            self.watch.record_answer(progress(answer))
        if self._in_flight is None and self._clock.now >= self._call_at:
            self._call_at = self._clock.now + self._period_s
            self._in_flight = self._call()
            self.watch.record_question()
        return answer

    def _take(self) -> Answer | None:
        done, _ = ray.wait([self._in_flight], timeout=0)
        if not done:
            return None
        reference: Any = self._in_flight
        self._in_flight = None
        try:
            return ray.get(reference)
        except UNANSWERED as error:
            if is_creation_error(error):
                raise
            self.was_lost = True
            return None
