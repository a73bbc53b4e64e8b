"""Where a run's checkpoints lie: <run>/checkpoints/step-<learner_steps>/."""

from __future__ import annotations

from pathlib import Path

from replay_service import atomic_directory

DIRECTORY = "checkpoints"
PREFIX = "step-"
STATE_FILE = "state.json"  # counters and the states of the run's parts, in each checkpoint


def checkpoint_path(run_dir: Path, learner_steps: int) -> Path:
    """Name the checkpoint of a number of learner steps."""
    return run_dir / DIRECTORY / f"{PREFIX}{learner_steps}"


def checkpoint_paths(run_dir: Path) -> list[Path]:
    """List the checkpoints of a run, oldest first."""
    return atomic_directory.numbered(run_dir / DIRECTORY, PREFIX)
