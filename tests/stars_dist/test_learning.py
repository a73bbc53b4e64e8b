"""STARS learns the toy suite, whose tasks conflict and of which each is harder than the one before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()", "launch"]
STEPS = 16_000


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1, 2])
def test_stars_learns_the_toy_suite(seed: int, tmp_path: Path) -> None:
    """A serial run, bit-reproducible on one machine; final evaluation of 50 episodes a task; no health warning."""
    run = tmp_path / "run"
    arguments = ["--suite", "toy:4", "--preset", "stars", "--preset", "small", "--serial"]
    arguments += ["--steps", str(STEPS), "--seed", str(seed), "--run-dir", str(run)]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=1100)
    assert done.returncode == 0, done.stderr
    tasks = json.loads((run / "evaluation.json").read_text())["tasks"]
    success = [task["success_rate"] for task in tasks]
    assert sum(success) / len(success) >= 0.95, success
    assert "warning" not in done.stdout
