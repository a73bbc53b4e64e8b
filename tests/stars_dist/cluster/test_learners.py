"""Several learners of one run on a Ray cluster of this machine: to the end, and over the loss of one."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from actors.checkpoint_path import checkpoint_paths
from learner.checkpoint import read_checkpoint
from tests.stars_dist.cluster.test_actors import Run, start
from tests.stars_dist.test_training import metrics

__all__ = ["start"]

TWO = ("--suite", "toy:2", "--actors", "1", "--learners", "2", "--device", "cpu")


def learned(run: Run) -> int:
    """Updates, by the newest line of the metrics."""
    lines = metrics(run.path) if (run.path / "metrics.jsonl").exists() else []
    return int(lines[-1]["learner_steps"]) if lines else 0


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_learners_make_a_whole_run(start: Callable[..., Run]) -> None:
    run = start(*TWO, "--steps", "3000", "--eval-episodes", "2")
    assert run.process.wait(timeout=500) == 0, run.output
    assert "2 learners" in run.output
    newest = checkpoint_paths(run.path)[-1]
    checkpoint, line = read_checkpoint(newest), metrics(run.path)[-1]
    updates = checkpoint.learner["learner_steps"]
    assert newest.name == f"step-{updates}" and line["learner_steps"] == updates
    due = 16 * (3000 - 400) / 8  # 16 draws of each step, 8 rows in an update
    assert 0.9 * due <= updates <= due
    drawn = [line["replay/sampled"] for line in metrics(run.path) if "replay/sampled" in line][-1]
    assert drawn == pytest.approx(8 * updates, rel=0.1), "rows of the whole batch, each once"
    assert (run.path / "evaluation.json").is_file()


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_lost_learner_begins_all_again_at_the_last_checkpoint(start: Callable[..., Run]) -> None:
    run = start(*TWO, "--steps", "1000000", "--checkpoint-every", "400")
    run.wait_for(lambda: checkpoint_paths(run.path), timeout_s=240)
    (member,) = run.processes("LearnerMember")
    first = run.processes("LearnerProcess")
    member.send_signal(signal.SIGKILL)
    run.wait_for(lambda: "learner 1 was lost: its process died" in run.output)
    before = learned(run)
    run.wait_for(lambda: learned(run) > before + 200, timeout_s=240)
    (again,) = run.processes("LearnerMember")
    assert again.pid != member.pid and run.processes("LearnerProcess") != first
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(timeout=120) == 130, run.output
    assert "interrupted; the run is saved" in run.output
