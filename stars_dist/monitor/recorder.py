"""The recorder: what a run measures goes to metrics.jsonl, TensorBoard and trackers, against environment steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

from replay_service.full_disk import DiskPause
from stars_dist.monitor.events_file import EventsFile
from stars_dist.monitor.metrics import Clocks, MetricsFile, cut_metrics, read_metrics
from stars_dist.monitor.tensorboard_log import TensorBoardLog
from stars_dist.monitor.trackers import TrackerMirror
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.recorded import MetricsEnd


class Recorder:
    """Writes named values into a run directory, after what is there up to `end`; `kept` is what that holds."""

    def __init__(
        self,
        run: RunDirectory,
        tell: Callable[[str], None],
        end: MetricsEnd = MetricsEnd(),  # noqa: B008 - it is frozen
        mirrors: Sequence[TrackerMirror] = (),
    ) -> None:
        """`tell` takes the lines about a full disk, which pauses both files and breaks none."""
        self.run = run
        self._mirrors = mirrors
        self.kept = cut_metrics(run.metrics_file, end)
        self._elapsed_before_s = self.kept.wall_time_s
        self._started = time.monotonic()
        self._metrics = MetricsFile(run.metrics_file, DiskPause("metrics", run.path, tell))
        events = EventsFile(run.path, end.env_steps, DiskPause("TensorBoard's events", run.path, tell))
        self.tensorboard = TensorBoardLog(events)
        self.resumed_at = end.env_steps or 0
        if end.env_steps is not None:
            self._show_again(run, end.env_steps)

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
        clocks = Clocks(env_steps, learner_steps, round(self.wall_time_s, 3))
        self._metrics.write(clocks, values)
        self._show(env_steps, values)
        for mirror in self._mirrors:
            mirror.log(env_steps, clocks.wall_time_s, _finite(values))

    @property
    def metrics_size_bytes(self) -> int:
        """How much of metrics.jsonl is written."""
        return self._metrics.size_bytes

    def _show(self, env_steps: int, values: Mapping[str, float]) -> None:
        self.tensorboard.scalars(env_steps, _finite(values))

    def _show_again(self, run: RunDirectory, env_steps: int) -> None:
        """Show what was recorded at the very step where TensorBoard, which cuts whole steps, goes on."""
        for line in read_metrics(run.metrics_file, from_steps=env_steps):
            self._show(env_steps, {name: value for name, value in line.items() if name not in Clocks._fields})

    def close(self) -> None:
        """Close both files, and the trackers."""
        self._metrics.close()
        self.tensorboard.close()
        for mirror in self._mirrors:
            mirror.close()


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}
