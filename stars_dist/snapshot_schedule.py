"""When the replay of a run is copied to its storage."""

from __future__ import annotations

import time

from replay_service.snapshot_job import SnapshotJob
from replay_service.transport import ShardUnavailable, Transport
from stars_dist.config import RunConfig
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.replay_storage import snapshot_store
from stars_dist.run_directory import RunDirectory

LONGEST_SNAPSHOT_S = 1800.0


class SnapshotSchedule:
    """Takes a snapshot at every multiple of the period, one at a time, beside the training."""

    def __init__(
        self,
        config: RunConfig,
        run: RunDirectory,
        transport: Transport,
        monitor: RunMonitor,
        env_steps: int,
    ) -> None:
        self._plan, self._transport, self._monitor = config.replay_plan(), transport, monitor
        self._store = snapshot_store(run, config)
        self._period = config.replay.snapshot_every_env_steps
        self._due_at = self._after(env_steps)
        self._job: SnapshotJob | None = None
        self._started_at = 0.0

    def advance(self) -> None:
        """Starts a snapshot that is due and takes the end of one under way."""
        if self._period is None:
            return
        if self._job is None and self._monitor.env_steps >= self._due_at:
            self._due_at = self._after(self._monitor.env_steps)
            self._started_at = time.monotonic()
            self._job = SnapshotJob(self._plan, self._store, self._transport, self._monitor.env_steps)
        if self._job is not None and self._job.is_done:
            self._end(self._job)
            self._job = None
        elif self._job is not None and self._elapsed_s > LONGEST_SNAPSHOT_S:
            self._monitor.say(f"snapshot of the replay given up after {self._elapsed_s:.0f} s")
            self.cancel()

    def cancel(self) -> None:
        """Gives up a snapshot under way."""
        if self._job is not None:
            self._job.cancel()
            self._job = None

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    def _after(self, env_steps: int) -> int:
        return 0 if self._period is None else (env_steps // self._period + 1) * self._period

    def _end(self, job: SnapshotJob) -> None:
        try:
            snapshot = job.finish()
        except (ShardUnavailable, TimeoutError, OSError) as error:
            self._monitor.say(
                f"snapshot of the replay given up ({error}); the next is at {self._due_at:,} steps"
            )
        else:
            steps, seconds = snapshot.env_steps, self._elapsed_s
            self._monitor.say(
                f"snapshot of the replay at {steps:,} steps in {seconds:.1f} s: {snapshot.path}"
            )
