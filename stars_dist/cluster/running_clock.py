"""The clock of a supervisor: counts the time in which it ran itself, so that its own pause blames nobody."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_TICK_S = 5.0  # of a round; what is longer was a pause: Ctrl-Z, a suspended job, a machine that slept


class RunningClock:
    """Stands still between two ticks, and advances by at most `longest_tick_s` with each.

    While its owner is stopped it cannot have taken an answer, however long the pause: that time is nobody's silence.
    """

    def __init__(
        self, read: Callable[[], float] = time.monotonic, longest_tick_s: float = LONGEST_TICK_S
    ) -> None:
        self.now = 0.0
        self._longest_tick_s = longest_tick_s
        self._read = read
        self._last = read()

    def tick(self) -> float:
        """Advance; return the seconds that were left out as a pause, 0 without one."""
        last, self._last = self._last, self._read()
        gap_s = self._last - last
        self.now += min(gap_s, self._longest_tick_s)
        return max(gap_s - self._longest_tick_s, 0.0)
