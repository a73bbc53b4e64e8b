"""The recorder: what a run measures goes to metrics.jsonl and to TensorBoard, against total environment steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from replay_service.full_disk import DiskPause
from stars_dist.monitor.events_file import EventsFile
from stars_dist.monitor.metrics import Clocks, MetricsFile, cut_metrics
from stars_dist.monitor.tensorboard_log import TensorBoardLog
from stars_dist.run_files.directory import RunDirectory


class Recorder:
    """Writes named values into a run directory, after what is there; `resume_at` cuts what lies beyond that step."""

    def __init__(self, run: RunDirectory, tell: Callable[[str], None], resume_at: int | None = None) -> None:
        """`tell` takes the lines about a full disk, which pauses both files and breaks none."""
        self.run = run
        self._elapsed_before_s = cut_metrics(run.metrics_file, resume_at)
        self._started = time.monotonic()
        self._metrics = MetricsFile(run.metrics_file, DiskPause("metrics", run.path, tell))
        purge_step = None if resume_at is None else resume_at + 1
        events = EventsFile(run.path, purge_step, DiskPause("TensorBoard's events", run.path, tell))
        self.tensorboard = TensorBoardLog(events)
        self.resumed_at = resume_at or 0

    @property
    def wall_time_s(self) -> float:
        """Seconds of training, the runs before a resume included."""
        return self._elapsed_before_s + self.seconds_of_this_start

    @property
    def seconds_of_this_start(self) -> float:
        """Seconds since this program has begun to record."""
        return time.monotonic() - self._started

    def write(self, env_steps: int, learner_steps: int, values: Mapping[str, float]) -> None:
        """Record one value per name; a value that is not finite has no meaning yet and is left out."""
        self._metrics.write(Clocks(env_steps, learner_steps, round(self.wall_time_s, 3)), values)
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self.tensorboard.scalars(env_steps, finite)

    def close(self) -> None:
        """Close both files."""
        self._metrics.close()
        self.tensorboard.close()
