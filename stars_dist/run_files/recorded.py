"""What the metrics of a run tell a resume, and where it cuts them."""

from __future__ import annotations

from typing import NamedTuple

METRICS_SIZE = "metrics_size_bytes"  # in the state of a serial run's checkpoint


class Learning(NamedTuple):
    """How far the learner came."""

    updates: int
    seconds: float  # since the first update that was recorded


class MetricsEnd(NamedTuple):
    """Where a resumed run cuts the metrics that it makes again; without a number nothing is cut."""

    env_steps: int | None = None  # beyond which lines are dropped
    size_bytes: int | None = None  # of the file; what was written after it is dropped

    def includes(self, env_steps: int, line_end: int) -> bool:
        """Tell whether a line stays, by its steps and the byte of the file at which it ends."""
        by_steps = self.env_steps is None or env_steps <= self.env_steps
        return by_steps and (self.size_bytes is None or line_end <= self.size_bytes)


class Kept(NamedTuple):
    """What a metrics file holds that a run goes on with."""

    wall_time_s: float = 0.0
    reported_updates: int = 0  # of the last report of the learner
    evaluated_at: int = 0  # environment steps of the last evaluation
