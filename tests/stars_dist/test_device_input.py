"""What a machine without a GPU cannot do is refused: one line, exit code 2, and nothing is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.stars_dist.test_training import stars_dist

SERIAL = ["launch", "--suite", "toy:2", "--preset", "small", "--serial", "--steps", "600"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["learner.cuda_graph=on"], "learner.cuda_graph on needs a GPU"),
        (
            ["learner.replay_mirror=on", "replay.capacity_per_task=10000000000"],
            "use --set learner.replay_mirror=off, or replay.capacity_per_task of at most",
        ),
        (["device=cuda"], "device cuda needs a GPU that torch can use"),
    ],
)
def test_a_device_that_cannot(assignments: list[str], message: str, tmp_path: Path) -> None:
    sets = [part for text in assignments for part in ("--set", text)]
    done = stars_dist(*SERIAL, *sets, "--run-dir", tmp_path / "run")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_other_networks(tmp_path: Path) -> None:
    run = tmp_path / "run"
    made = stars_dist(*SERIAL, "--set", "network.actor_hidden=[16]", "--run-dir", run, "--eval-episodes", "1")
    assert made.returncode == 0, made.stderr
    config = run / "config.yaml"
    text = config.read_text()
    assert "- 16\n" in text
    config.write_text(text.replace("- 16\n", "- 24\n"))
    done = stars_dist("resume", run, "--steps", "1200")
    assert done.returncode == 2, done.stderr
    assert "its actor has" in done.stderr and "resume with the config.yaml of its own run" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
