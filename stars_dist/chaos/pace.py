"""The pace of faults: as they are drawn; after one that came late with shorter rests, until they are in time again."""

from __future__ import annotations

from stars_dist.chaos.schedule import Fault

SHORTER = 0.5  # of the rest that was drawn


class Pace:
    """Tells when the next fault is due, in seconds since the first could be; it is told which were struck when."""

    def __init__(self) -> None:
        self._last: tuple[Fault, float] | None = None

    def due_s(self, fault: Fault) -> float:
        """Return when a fault of the schedule is due, by when the one before was struck."""
        if self._last is None:
            return fault.at_s
        before, struck_at_s = self._last
        rest_s = fault.at_s - before.at_s - before.hold_s
        return max(fault.at_s, struck_at_s + before.hold_s + SHORTER * rest_s)

    def record(self, fault: Fault, at_s: float) -> None:
        """Note that a fault was struck."""
        self._last = fault, at_s
