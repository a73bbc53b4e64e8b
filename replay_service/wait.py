"""A wait: says every ten seconds what it waits for, and ends at its deadline."""

from __future__ import annotations

import logging
import time

REPORT_PERIOD_S = 10.0


class Wait:
    """One wait of a loop, from its construction on; the loop calls `check` or `report` each time it finds nothing."""

    def __init__(self, logger: logging.Logger, timeout_s: float) -> None:
        self._logger = logger
        self._timeout_s = timeout_s
        self.restart()

    def restart(self) -> None:
        """Begin anew: something came."""
        self._start = time.monotonic()
        self._report_at = self._start + REPORT_PERIOD_S

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline, below zero past it."""
        return self._timeout_s - self.elapsed_s

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.remaining_s <= 0

    def report(self, awaited: str) -> None:
        """Log what is waited for, if ten seconds have passed since the start or the line before."""
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + REPORT_PERIOD_S
            self._logger.warning("%s (for %.0f s)", awaited, self.elapsed_s)

    def check(self, awaited: str) -> None:
        """Report; past the deadline raise TimeoutError with what was waited for."""
        if self.is_over:
            raise TimeoutError(f"{awaited} (waited {self.elapsed_s:.0f} s)")
        self.report(awaited)
