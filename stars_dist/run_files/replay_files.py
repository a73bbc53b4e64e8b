"""Where the replay of a run is kept, what a resumed run finds there, and the snapshots of a run in progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from replay_service.reshard import reshard
from replay_service.snapshot import SnapshotStore
from replay_service.snapshot_job import SnapshotJob
from replay_service.transport import ShardUnavailable, Transport
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.schedule import snapshot_period

LONGEST_SNAPSHOT_S = 1800.0

Log = Callable[[str], None]


def snapshot_store(run: RunDirectory, plan: RunPlan) -> SnapshotStore:
    """Find the run's snapshots: in the run directory, or in one of the run's name at the configured place."""
    place = plan.config.replay.snapshot_dir
    directory = run.snapshots if place is None else Path(place) / run.path.resolve().name
    return SnapshotStore(directory.resolve(), plan.config.replay.snapshot_keep_last)


def check_snapshots_unused(run: RunDirectory, plan: RunPlan) -> None:
    """Keep a new run from starting with the replay of an older one; ValueError if it would."""
    store = snapshot_store(run, plan)
    if not store.is_empty:
        raise ValueError(
            f"the snapshots of a new run need an unused directory, {store.directory} holds some; "
            f"use another --run-dir name or replay.snapshot_dir"
        )


def prepare_replay(run: RunDirectory, plan: RunPlan, log: Log) -> int | None:
    """Bring the replay of a resumed run to its number of shards and log what it holds.

    Returns:
        The environment steps that it goes on from if some are lost; None if nothing is.
    """
    num_shards, store = plan.replay.num_shards, snapshot_store(run, plan)
    if (resharded := reshard(run.replay, plan.replay, store)) is not None:
        log(f"the replay is resharded to {num_shards} shards, from {resharded.path}")
        return None
    missing = [i for i in range(num_shards) if not (run.replay / f"shard-{i}" / "layout.json").is_file()]
    if plan.config.replay.storage == "mapped" and not missing:
        log("restored from the run directory: every acknowledged transition, its priority, and the counters")
        return None
    snapshots = store.newest_first(plan.replay.spec)
    if not snapshots:
        log("not restored: the replay, which is refilled to the warm-up before learning goes on")
        return 0
    log(
        f"restored from {snapshots[0].path}: the replay of shards {missing} as it was at "
        f"{snapshots[0].env_steps:,} environment steps; what they stored after that is lost"
    )
    return snapshots[0].env_steps


class PeriodicSnapshots:
    """Takes a snapshot at every multiple of the period, one at a time, beside the training."""

    def __init__(
        self, run: RunDirectory, plan: RunPlan, transport: Transport, env_steps: int, log: Log
    ) -> None:
        self._plan, self._transport, self._log = plan, transport, log
        self._store = snapshot_store(run, plan)
        self._period = snapshot_period(plan, env_steps)
        self._job: SnapshotJob | None = None
        self._started_at = 0.0

    def advance(self, env_steps: int) -> None:
        """Start a snapshot that is due and take the end of one in progress."""
        if self._period is None:
            return
        try:
            if self._job is None and self._period.is_due(env_steps):
                self._started_at = time.monotonic()
                self._job = SnapshotJob(self._plan.replay, self._store, self._transport, env_steps)
            if self._job is not None and self._job.is_done:
                job, self._job = self._job, None
                self._end(job)
        except (ShardUnavailable, TimeoutError, OSError) as error:
            next_at = self._period.due_at
            self._log(f"snapshot of the replay given up ({error}); the next is at {next_at:,} steps")
        if self._job is not None and self._elapsed_s > LONGEST_SNAPSHOT_S:
            self._log(f"snapshot of the replay given up after {self._elapsed_s:.0f} s")
            self.cancel()

    def cancel(self) -> None:
        """Give up a snapshot in progress."""
        if self._job is not None:
            self._job.cancel()
            self._job = None

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    def _end(self, job: SnapshotJob) -> None:
        snapshot = job.finish()
        steps, seconds = snapshot.env_steps, self._elapsed_s
        self._log(f"snapshot of the replay at {steps:,} steps in {seconds:.1f} s: {snapshot.path}")
