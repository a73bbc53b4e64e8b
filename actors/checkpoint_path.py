"""Where a run's checkpoints lie: <run>/checkpoints/step-<learner_steps>/."""

from __future__ import annotations

from pathlib import Path

from replay_service import atomic_directory

DIRECTORY = "checkpoints"
PREFIX = "step-"
DAMAGED_PREFIX = "damaged-"  # of the name of a checkpoint that was found damaged and set aside
STATE_FILE = "state.json"  # counters and the states of the run's parts, in each checkpoint


def checkpoint_path(run_dir: Path, learner_steps: int) -> Path:
    """Name the checkpoint of a number of learner steps."""
    return run_dir / DIRECTORY / f"{PREFIX}{learner_steps}"


def checkpoint_paths(run_dir: Path) -> list[Path]:
    """List the checkpoints of a run, oldest first."""
    return atomic_directory.numbered(run_dir / DIRECTORY, PREFIX)


def set_aside(checkpoint: Path) -> Path:
    """Rename a damaged checkpoint, so that it counts as none; return its new name."""
    name = f"{DAMAGED_PREFIX}{checkpoint.name}"
    taken = {path.name for path in checkpoint.parent.iterdir()}
    names = (name, *(f"{name}.{number}" for number in range(2, len(taken) + 3)))
    return checkpoint.rename(checkpoint.with_name(next(free for free in names if free not in taken)))
