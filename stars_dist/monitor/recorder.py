"""The recorder: what a run measures goes to metrics.jsonl and to TensorBoard, against total environment steps."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from torch.utils.tensorboard.writer import SummaryWriter

from stars_dist.monitor.metrics import Clocks, MetricsFile, cut_metrics
from stars_dist.run_files.directory import RunDirectory


class Recorder:
    """Writes named values into a run directory, after what is there; `resume_at` cuts what lies beyond that step."""

    def __init__(self, run: RunDirectory, resume_at: int | None = None) -> None:
        elapsed_s = cut_metrics(run.metrics_file, resume_at)
        self._started = time.monotonic() - elapsed_s
        self._metrics = MetricsFile(run.metrics_file)
        purge_step = None if resume_at is None else resume_at + 1
        self._tensorboard = SummaryWriter(str(run.path), purge_step=purge_step, flush_secs=10)

    @property
    def wall_time_s(self) -> float:
        """Seconds of training, the runs before a resume included."""
        return time.monotonic() - self._started

    def write(self, env_steps: int, learner_steps: int, values: Mapping[str, float]) -> None:
        """Record one value per name; a value that is not finite has no meaning yet and is left out."""
        self._metrics.write(Clocks(env_steps, learner_steps, round(self.wall_time_s, 3)), values)
        for name, value in values.items():
            if math.isfinite(value):
                self._tensorboard.add_scalar(name, value, env_steps)

    def close(self) -> None:
        """Close both files."""
        self._metrics.close()
        self._tensorboard.close()
