"""A wait: logs every ten seconds what it waits for, and ends at its deadline."""

from __future__ import annotations

import logging
import time

REPORT_PERIOD_S = 10.0


class Wait:
    """One wait of a loop, from its construction on.

    The loop calls `check`, or `report` and `is_over`, each time it finds nothing, then sleeps and looks again.
    """

    def __init__(
        self, logger: logging.Logger, timeout_s: float, timeout_error: type[TimeoutError] = TimeoutError
    ) -> None:
        """`logger` is the waiting module's; `timeout_error` is what `check` raises past the deadline."""
        self._logger = logger
        self._timeout_s = timeout_s
        self._timeout_error = timeout_error
        self.restart()

    def restart(self) -> None:
        """Begin anew, deadline included: something came."""
        self._start = time.monotonic()
        self._report_at = self._start + REPORT_PERIOD_S

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline, 0 past it: a sleep or a call may be given it as it is."""
        return max(self._timeout_s - self.elapsed_s, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the deadline has passed."""
        return self.remaining_s <= 0

    def report(self, awaited: str) -> None:
        """Log what is waited for, if ten seconds have passed since the start or the previous report."""
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + REPORT_PERIOD_S
            self._logger.warning("%s (for %.0f s)", awaited, self.elapsed_s)

    def check(self, awaited: str) -> None:
        """Report what is waited for.

        Raises:
            TimeoutError: the deadline has passed; the message is `awaited`. Of the class that the wait was given.
        """
        if self.is_over:
            raise self._timeout_error(f"{awaited} (waited {self.elapsed_s:.0f} s)")
        self.report(awaited)

    def sleep(self, longest_s: float) -> None:
        """Sleep for `longest_s`, but not past the deadline."""
        time.sleep(min(longest_s, self.remaining_s))
