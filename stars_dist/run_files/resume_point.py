"""Where a run goes on: its newest checkpoint that is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from actors.checkpoint_path import DAMAGED_PREFIX, checkpoint_paths, set_aside
from learner.checkpoint import CheckpointError, read_checkpoint
from learner.checkpoint_shapes import check_shapes
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.replay_files import prepare_replay
from stars_dist.schedule import checkpoint_period_updates

Log = Callable[[str], None]


class ResumePoint(NamedTuple):
    """A whole checkpoint and what the clocks were when it was written."""

    checkpoint: Path
    env_steps: int
    learner_steps: int


class Start(NamedTuple):
    """Where the processes of a run begin: at a checkpoint or at nothing."""

    checkpoint: Path | None
    env_steps: int
    metrics_end: int | None  # environment steps beyond which recorded metrics are made again; None: nowhere
    learner_steps: int = 0


def resume_point(run_dir: Path, log: Log) -> ResumePoint | None:
    """Find the newest whole checkpoint, None without any; damaged ones are set aside and logged."""
    for path in reversed(checkpoint_paths(run_dir)):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            log(f"damaged checkpoint passed over: {error}; it is now {set_aside(path).name}")
            continue
        return ResumePoint(path, checkpoint.state["env_steps"], checkpoint.learner["learner_steps"])
    return None


def check_resumable(run: RunDirectory, plan: RunPlan, recorded_updates: int) -> None:
    """Keep a run that has learned from starting anew because its checkpoints are gone.

    `recorded_updates` are those that its metrics tell of. Fewer than between two checkpoints may be without one.

    Raises:
        ValueError: it has updates that a checkpoint must hold, and none is whole, or it is of other networks than
            those of the configuration; nothing was changed.
    """
    faults: list[str] = []
    for path in reversed(checkpoint_paths(run.path)):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            faults.append(str(error).split(";")[0])
        else:
            check_shapes(checkpoint.learner, plan.config.network, plan.replay.spec)
            return
    faults += [
        f"{path} was found damaged before" for path in sorted(run.checkpoints.glob(f"{DAMAGED_PREFIX}*"))
    ]
    if not faults and (run.evaluation_file.exists() or recorded_updates >= checkpoint_period_updates(plan)):
        faults.append(f"{run.checkpoints} holds none")
    if faults:
        raise ValueError(
            f"a run that has made updates needs a whole checkpoint to go on from, {run.path} has none "
            f"({'; '.join(faults)}); restore one from a copy, or launch the run anew with another --run-dir"
        )


def find_start(run: RunDirectory, plan: RunPlan, log: Log) -> Start:
    """Find where a resumed run goes on and log what is restored and what is not."""
    point = resume_point(run.path, log)
    if point is None:
        log("no checkpoint yet: learner and counters start anew")
    else:
        log(
            f"restored from {point.checkpoint}: networks, optimizers, temperatures, random states, "
            f"{point.learner_steps:,} updates, limiter at {point.env_steps:,} environment steps"
        )
    replay_steps = prepare_replay(run, plan, log)
    log("not restored: episodes in progress; they begin anew")
    env_steps = point.env_steps if point else 0
    # A replay of which nothing is lost counts on from its own steps, at or after those of the checkpoint.
    metrics_end = None if replay_steps is None else max(replay_steps, env_steps)
    return Start(
        point.checkpoint if point else None, env_steps, metrics_end, point.learner_steps if point else 0
    )
