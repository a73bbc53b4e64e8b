"""Where the replay of a run is kept, what a resumed run finds there, and the snapshots of a run in progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from replay_service.file_lock import is_locked
from replay_service.full_disk import DiskPause
from replay_service.identity import give_identity, read_identity, set_foreign_aside
from replay_service.reshard import opened_as_found, reshard
from replay_service.snapshot import SnapshotStore
from replay_service.snapshot_job import SnapshotJob
from replay_service.storage import LAYOUT_FILE, LOCK_FILE
from replay_service.transport import ShardUnavailable, Transport
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.snapshot_place import keep_place, snapshot_store
from stars_dist.schedule import snapshot_period

LONGEST_SNAPSHOT_S = 1800.0
FULL_DISK_RETRY_S = 60.0
LONGEST_END_S, END_POLL_S = 60.0, 0.2  # of the processes of a run that was killed

REPLAY = "replay"  # the key of a checkpoint's state that names the replay directory

Log = Callable[[str], None]


def prepare_replay(run: RunDirectory, plan: RunPlan, log: Log, identity: str | None = None) -> int | None:
    """Bring the replay of a resumed run to its number of shards and log what it holds.

    Files of another directory than the checkpoint's, `identity`, are not used.

    Returns:
        The environment steps that it goes on from if some are lost; None if nothing is.
    """
    if identity is not None and (aside := set_foreign_aside(run.replay, identity)) is not None:
        log(
            f"not restored: the replay files in {run.replay}, which are of another directory than the checkpoint's; "
            f"they are now in {aside}"
        )
    env_steps = _bring_up(run, plan, log)
    give_identity(run.replay, follows=identity)
    return env_steps


def replay_state(run: RunDirectory) -> dict[str, str]:
    """Return what a checkpoint's state holds of the replay: which directory it is of."""
    identity = read_identity(run.replay)
    return {} if identity is None else {REPLAY: identity.name}


def _bring_up(run: RunDirectory, plan: RunPlan, log: Log) -> int | None:
    keep_place(run, plan, log)
    num_shards, store = plan.replay.num_shards, snapshot_store(run, plan)
    doubtful_steps = _open_once(run, plan, store, log)
    place = run.replay.resolve()  # it may be a link to another disk
    if (resharded := reshard(place, plan.replay, store)) is not None:
        place.mkdir(exist_ok=True)
        log(f"the replay is resharded to {num_shards} shards, from {resharded.path}")
        return None
    missing = [i for i in range(num_shards) if not (run.replay / f"shard-{i}" / LAYOUT_FILE).is_file()]
    if plan.config.replay.storage == "mapped" and not missing:
        if doubtful_steps is None:
            log(
                "restored from the run directory: every acknowledged transition, its priority, and the counters"
            )
        return doubtful_steps
    snapshots = store.newest_first(plan.replay.spec)
    if not snapshots:
        log("not restored: the replay, which is refilled to the warm-up before learning goes on")
        return 0
    log(
        f"restored from {snapshots[0].path}: the replay of shards {missing} as it was at "
        f"{snapshots[0].env_steps:,} environment steps; what they stored after that is lost"
    )
    return snapshots[0].env_steps


def _open_once(run: RunDirectory, plan: RunPlan, store: SnapshotStore, log: Log) -> int | None:
    """Open the mapped files and close them, which checks and repairs them, and log what was wrong.

    Returns:
        The environment steps that they hold if some may be lost; None if nothing is.
    """
    reports, env_steps = [], 0
    _wait_until_free(run, log)
    for shard in opened_as_found(run.replay, plan.replay, store.directory):
        reports += [f"shard {shard.index}: {shard.opening_report}"] if shard.opening_report else []
        env_steps += int(shard.stats().inserted.sum())
        shard.close()
    for report in reports:
        log(f"the replay of {report}")
    return env_steps if reports else None


def _wait_until_free(run: RunDirectory, log: Log) -> None:
    """Wait for the processes of a run that was killed just now, which end a while after it."""
    deadline, told = time.monotonic() + LONGEST_END_S, False
    for lock_file in run.replay.glob(f"shard-*/{LOCK_FILE}"):
        while is_locked(lock_file) and time.monotonic() < deadline:
            if not told:
                log(f"waiting for the process of the run before that has {lock_file.parent} to end")
                told = True
            time.sleep(END_POLL_S)


class PeriodicSnapshots:
    """Takes a snapshot at every multiple of the period, one at a time, beside the training."""

    def __init__(
        self, run: RunDirectory, plan: RunPlan, transport: Transport, env_steps: int, log: Log
    ) -> None:
        self._plan, self._transport, self._log = plan, transport, log
        self._store = snapshot_store(run, plan)
        self._pause = DiskPause("snapshots of the replay", self._store.directory, log)
        self._period = snapshot_period(plan, env_steps)
        self._job: SnapshotJob | None = None
        self._started_at = 0.0

    def advance(self, env_steps: int) -> None:
        """Start a snapshot that is due and take the end of one in progress."""
        if self._period is None:
            return
        try:
            if self._job is None and self._is_due(env_steps):
                self._started_at = time.monotonic()
                self._job = SnapshotJob(self._plan.replay, self._store, self._transport, env_steps)
            if self._job is not None and self._job.is_done:
                job, self._job = self._job, None
                self._end(job)
        except (ShardUnavailable, TimeoutError, OSError) as error:
            if self._pause.refuse(error):
                return
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

    def _is_due(self, env_steps: int) -> bool:
        """Return whether a period has passed, or the disk is to be tried again after it was full."""
        assert self._period is not None
        tried_again = self._pause.is_paused and self._elapsed_s >= FULL_DISK_RETRY_S
        return self._period.is_due(env_steps) or tried_again

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    def _end(self, job: SnapshotJob) -> None:
        snapshot = job.finish()
        self._pause.accept()
        steps, seconds = snapshot.env_steps, self._elapsed_s
        self._log(f"snapshot of the replay at {steps:,} steps in {seconds:.1f} s: {snapshot.path}")
