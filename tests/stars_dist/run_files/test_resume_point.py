"""Where a resumed run goes on: the newest checkpoint that is whole, and what is logged about the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from learner.checkpoint import write_checkpoint
from stars_dist.build.learner import fresh_learner
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.resume_point import ResumePoint, find_start, resume_point


@pytest.fixture(scope="module")
def plan() -> RunPlan:
    return resolve([preset_layer("small"), set_layer("suite=toy:2"), set_layer("device=cpu")]).plan


@pytest.fixture
def run(plan: RunPlan, tmp_path: Path) -> RunDirectory:
    """A run with the checkpoints of 10 and of 20 updates, 100 and 140 environment steps."""
    learner = fresh_learner(plan)
    for updates, env_steps in ((10, 100), (20, 140)):
        learner.learner_steps = updates
        write_checkpoint(tmp_path, learner, "toy:2", {"env_steps": env_steps}, keep_last=2)
    return RunDirectory(tmp_path)


def damage(checkpoint: Path) -> None:
    (checkpoint / "learner.pt").write_bytes(b"torn")


def test_the_newest_checkpoint_counts(run: RunDirectory) -> None:
    log: list[str] = []
    assert resume_point(run.path, log.append) == ResumePoint(run.checkpoint(20), 140, 20)
    assert log == []


def test_a_damaged_checkpoint_is_logged_and_passed_over(run: RunDirectory) -> None:
    log: list[str] = []
    damage(run.checkpoint(20))
    assert resume_point(run.path, log.append) == ResumePoint(run.checkpoint(10), 100, 10)
    (line,) = log
    assert line.startswith("damaged checkpoint passed over: ") and "step-20" in line


def test_without_a_whole_checkpoint_a_run_starts_anew(run: RunDirectory, plan: RunPlan) -> None:
    log: list[str] = []
    damage(run.checkpoint(10))
    damage(run.checkpoint(20))
    assert resume_point(run.path, log.append) is None
    start = find_start(run, plan, log.append)
    assert (start.checkpoint, start.env_steps) == (None, 0)
    assert "no checkpoint yet: learner and counters start anew" in log


def test_metrics_beyond_a_lost_replay_are_made_again(run: RunDirectory, plan: RunPlan) -> None:
    """The replay is gone and has no snapshot: it begins at zero, the learner at its checkpoint."""
    log: list[str] = []
    start = find_start(run, plan, log.append)
    assert start == (run.checkpoint(20), 140, 140)
    assert log[0].endswith("20 updates, limiter at 140 environment steps")
    assert log[1].startswith("not restored: the replay")
