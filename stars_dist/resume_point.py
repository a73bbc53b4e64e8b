"""Where a run goes on: its newest checkpoint that is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from learner.checkpoint import CheckpointError, checkpoints, read_checkpoint
from stars_dist.config import RunConfig
from stars_dist.monitor.console import Console
from stars_dist.monitor.recorder import Recorder
from stars_dist.replay_storage import prepare_replay
from stars_dist.run_directory import RunDirectory


class ResumePoint(NamedTuple):
    checkpoint: Path
    env_steps: int
    learner_steps: int


def resume_point(run_dir: Path, warn: Callable[[str], None]) -> ResumePoint | None:
    """The newest whole checkpoint, None without any; `warn` hears of damaged ones, which are passed over."""
    for path in reversed(checkpoints(run_dir)):
        try:
            checkpoint = read_checkpoint(path)
        except CheckpointError as error:
            warn(f"damaged checkpoint passed over: {error}")
            continue
        return ResumePoint(path, checkpoint.state["env_steps"], checkpoint.learner["learner_steps"])
    return None


class Start(NamedTuple):
    """How a run starts: from a checkpoint or from nothing, with its recorder."""

    checkpoint: Path | None
    env_steps: int
    recorder: Recorder


Begin = Callable[[Console], Start]
"""Makes a start's first entries in the run directory; called once it is known that the run can start."""


def resumed_start(run: RunDirectory, config: RunConfig, console: Console) -> Start:
    """Finds where the run goes on and says what is restored and what is not."""
    point = resume_point(run.path, console.line)
    if point is None:
        console.line("no checkpoint yet: learner and counters start anew")
    else:
        console.line(
            f"restored from {point.checkpoint}: networks, optimizers, temperatures, random states, "
            f"{point.learner_steps:,} updates, limiter at {point.env_steps:,} environment steps"
        )
    replay_steps = prepare_replay(run, config, console)
    console.line("not restored: episodes that were under way; they begin anew")
    env_steps = point.env_steps if point else 0
    # A replay of which nothing is lost counts on from its own steps, at or after those of the checkpoint.
    metrics_end = None if replay_steps is None else max(replay_steps, env_steps)
    recorder = Recorder(run.path, metrics_end)
    return Start(point.checkpoint if point else None, env_steps, recorder)
