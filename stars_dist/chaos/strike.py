"""A strike: a fault that was done to a run, until the run has survived it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stars_dist.chaos.schedule import Fault

Condition = Callable[[], bool]


class NoVictimError(Exception):
    """There is nothing of that kind to strike at this moment."""


@dataclass
class Strike:
    """What was done, what undoes it, and by what it is known to be survived. Times are seconds since the epoch."""

    fault: Fault
    victim: str
    at: float
    number: int | None = None  # of the actor, shard or node
    is_survived: Condition = lambda: False
    undo: Callable[[], None] | None = None
    undone_at: float | None = None
    survived_at: float | None = None
    is_alone: bool = True  # no other fault struck before it was survived

    @property
    def is_undo_due(self) -> bool:
        """Whether it is to be undone now."""
        return self.undo is not None and self.undone_at is None

    @property
    def holds_everything(self) -> bool:
        """Whether nothing can get on before it is undone, so that nothing else may strike meanwhile."""
        action, part = self.fault.kind.action, self.fault.kind.part
        return action in ("pause", "roll back") or part in ("driver", "node")

    @property
    def recovery_s(self) -> float | None:
        """Seconds to the first progress of what was struck; None where there was none."""
        return None if self.survived_at is None else self.survived_at - self.at
