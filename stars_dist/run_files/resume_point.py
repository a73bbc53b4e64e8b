"""Where a run goes on: its newest checkpoint that is whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from actors.checkpoint_path import DAMAGED_PREFIX, checkpoint_paths, set_aside
from learner.checkpoint import CheckpointError, read_checkpoint
from learner.checkpoint_shapes import check_shapes
from replay_service.identity import give_identity
from replay_service.replay_copy import check_capacity
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.recorded import METRICS_SIZE, Learning, MetricsEnd
from stars_dist.run_files.replay_files import REPLAY, prepare_replay
from stars_dist.schedule import checkpoint_period_updates

LATEST_CHECKPOINT = 2.0  # periods after the first update: the first one has been written by then

SERIAL_STATE = "serial"  # the directory in a checkpoint of a serial run that holds all but the learner
SERIAL_REPLAY = "replay"  # in that one

Log = Callable[[str], None]


class ResumePoint(NamedTuple):
    """A whole checkpoint and what the clocks were when it was written."""

    checkpoint: Path
    env_steps: int
    learner_steps: int
    metrics_size_bytes: int | None = None  # known where the checkpoint holds all of a serial run
    replay: str | None = None  # the identity of its replay directory; None of earlier versions

    @property
    def is_exact(self) -> bool:
        """Whether a serial run goes on from it bit for bit."""
        return self.metrics_size_bytes is not None and (self.checkpoint / SERIAL_STATE).is_dir()


class Start(NamedTuple):
    """Where the processes of a run begin: at a checkpoint or at nothing."""

    checkpoint: Path | None
    env_steps: int
    metrics_end: MetricsEnd = MetricsEnd()
    learner_steps: int = 0
    is_exact: bool = True  # all that is to be restored is in the checkpoint; a new run has nothing to restore


def resume_point(run_dir: Path, log: Log) -> ResumePoint | None:
    """Find the newest whole checkpoint, None without any; damaged ones are set aside and logged."""
    for path in reversed(checkpoint_paths(run_dir)):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            log(f"damaged checkpoint passed over: {error}{_set_aside(path)}")
            continue
        state, steps = checkpoint.state, checkpoint.learner["learner_steps"]
        return ResumePoint(path, state["env_steps"], steps, state.get(METRICS_SIZE), state.get(REPLAY))
    return None


def _set_aside(damaged: Path) -> str:
    """Rename a damaged checkpoint where the disk lets us, and say so."""
    with suppress(OSError):
        return f"; it is now {set_aside(damaged).name}"
    return ""


def check_resumable(run: RunDirectory, plan: RunPlan, recorded: Learning) -> None:
    """Keep a run that has learned from starting anew because its checkpoints are gone.

    `recorded` is what its metrics tell of. Less than between two checkpoints may be without one.

    Raises:
        ValueError: it has updates that a checkpoint must hold, and none is whole, or it is of other networks than
            those of the configuration, or a serial run's of another replay capacity; nothing was changed.
    """
    faults: list[str] = []
    for path in reversed(checkpoint_paths(run.path)):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            faults.append(str(error).split(";")[0])
        else:
            check_shapes(checkpoint.learner, plan.config.network, plan.replay.spec)
            if plan.config.serial and (path / SERIAL_STATE).is_dir():
                check_capacity(path / SERIAL_STATE / SERIAL_REPLAY, plan.config.replay.capacity_per_task)
            return
    faults += [
        f"{path} was found damaged before" for path in sorted(run.checkpoints.glob(f"{DAMAGED_PREFIX}*"))
    ]
    if not faults and (run.evaluation_file.exists() or _must_have_saved(plan, recorded)):
        faults.append(f"{run.checkpoints} holds none")
    if faults:
        raise ValueError(
            f"a run that has made updates needs a whole checkpoint to go on from, {run.path} has none "
            f"({'; '.join(faults)}); restore one from a copy, or launch the run anew with another --run-dir"
        )


def restart_point(
    run: RunDirectory, plan: RunPlan, recorded: Callable[[], Learning], log: Log
) -> ResumePoint | None:
    """Find where a learner of a run in progress starts; None where none had to be saved yet.

    Raises:
        ValueError: as `check_resumable`.
        PlaceGoneError: the run directory was moved or removed.
    """
    run.check_there()
    point = resume_point(run.path, log)
    if point is None:
        check_resumable(run, plan, recorded())
    return point


def _must_have_saved(plan: RunPlan, recorded: Learning) -> bool:
    period_updates, period_s = checkpoint_period_updates(plan), plan.config.checkpoint.every_s
    by_updates = period_updates is not None and recorded.updates >= period_updates
    return by_updates or (period_s is not None and recorded.seconds > LATEST_CHECKPOINT * period_s)


def find_start(run: RunDirectory, plan: RunPlan, log: Log) -> Start:
    """Find where a resumed run goes on and log what is restored and what is not."""
    point = resume_point(run.path, log)
    if plan.config.serial and (point is None or point.is_exact):
        return _exact_start(run, point, log)
    if point is None:
        log("no checkpoint yet: learner and counters start anew")
    else:
        log(
            f"restored from {point.checkpoint}: networks, optimizers, temperatures, random states, "
            f"{point.learner_steps:,} updates, limiter at {point.env_steps:,} environment steps"
        )
    replay_steps = prepare_replay(run, plan, log, point.replay if point else None)
    log("not restored: episodes in progress; they begin anew")
    env_steps = point.env_steps if point else 0
    # A replay of which nothing is lost counts on from its own steps, at or after those of the checkpoint.
    metrics_end = MetricsEnd(None if replay_steps is None else max(replay_steps, env_steps))
    if point is None:
        return Start(None, env_steps, metrics_end, is_exact=False)
    return Start(point.checkpoint, env_steps, metrics_end, point.learner_steps, is_exact=False)


def _exact_start(run: RunDirectory, point: ResumePoint | None, log: Log) -> Start:
    """Go on bit for bit where a serial run was at its checkpoint; what its replay held later is made again."""
    for files in run.replay.glob("shard-*"):  # the directory itself may be a link to another disk
        shutil.rmtree(files)
    give_identity(run.replay)
    if point is None:
        log("no checkpoint yet: the run starts anew, as it did before")
        return Start(None, 0, MetricsEnd(0, 0))
    log(
        f"restored from {point.checkpoint}: everything, as it was after {point.learner_steps:,} updates and "
        f"{point.env_steps:,} environment steps"
    )
    metrics_end = MetricsEnd(point.env_steps, point.metrics_size_bytes)
    return Start(point.checkpoint, point.env_steps, metrics_end, point.learner_steps)
