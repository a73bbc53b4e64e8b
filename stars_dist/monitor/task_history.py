"""The history of every task over a run, in a hundred moments: what the heat maps show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stars_dist.monitor.metrics import read_first_of_windows

MOMENTS = 100


class TaskHistory:
    """The newest success in rollouts, and share of a batch, of every task within each hundredth of the steps."""

    def __init__(self, task_names: Sequence[str], total_steps: int) -> None:
        self._task_names, self._total_steps = task_names, total_steps
        unknown = np.full((len(task_names), MOMENTS), np.nan)
        self.success = unknown  # f64[T, MOMENTS]; nan where nothing is known
        self.quota = unknown.copy()  # f64[T, MOMENTS], share of a batch times T: 1 is even

    def record(self, env_steps: int, values: Mapping[str, float]) -> None:
        """Record metrics by their names, those of either part that are among them."""
        moment = min(MOMENTS - 1, MOMENTS * env_steps // self._total_steps)
        for task, name in enumerate(self._task_names):
            if (success := values.get(f"rollout/success/{name}")) is not None:
                self.success[task, moment] = success
        rows = np.array([values.get(f"sampling/quota/{name}", np.nan) for name in self._task_names])
        if np.isfinite(rows).all() and rows.sum() > 0:
            self.quota[:, moment] = rows / rows.sum() * len(rows)

    def restore(self, metrics_file: Path) -> None:
        """Record what a metrics file tells, of a run that goes on."""
        window = max(1, self._total_steps // MOMENTS)
        for line in read_first_of_windows(metrics_file, window, ("rollout/success/", "sampling/quota/")):
            self.record(int(line["env_steps"]), line)
