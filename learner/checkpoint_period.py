"""When checkpoints are due: by time, by updates, or both, whichever comes first."""

from __future__ import annotations

import time


class CheckpointPeriod:
    """Counts updates and seconds since the last checkpoint, or since the start of this process."""

    def __init__(self, every_updates: int | None = None, every_s: float | None = None) -> None:
        """Due at every multiple of `every_updates`, and `every_s` seconds after the last; None: not by this."""
        self._every_updates, self._every_s = every_updates, every_s
        self._saved_clock = time.monotonic()
        self._due_at: int | None = None  # in updates

    def is_due(self, learner_steps: int) -> bool:
        """Return whether a checkpoint is due after so many updates; before the first there is nothing to keep."""
        if self._due_at is None:
            self._begin(learner_steps - 1)  # where this process began
        by_updates = self._due_at is not None and learner_steps >= self._due_at
        return learner_steps > 0 and (by_updates or self._is_due_by_time())

    def restart(self, learner_steps: int) -> None:
        """Note a checkpoint."""
        self._saved_clock = time.monotonic()
        self._begin(learner_steps)

    def _begin(self, learner_steps: int) -> None:
        if self._every_updates is not None:
            self._due_at = (max(learner_steps, 0) // self._every_updates + 1) * self._every_updates

    def _is_due_by_time(self) -> bool:
        return self._every_s is not None and time.monotonic() - self._saved_clock >= self._every_s
