"""STARS learns the toy suite, where tasks conflict and each is harder than the one before; uniform sampling lags."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()", "launch"]
STEPS = 16_000


def final_success(run: Path, preset: str, seed: int) -> dict[str, float]:
    """Success of each task in 50 episodes, after a serial run: bit-reproducible on one machine."""
    arguments = ["--suite", "toy:4", "--preset", preset, "--preset", "small", "--serial"]
    arguments += ["--steps", str(STEPS), "--seed", str(seed), "--run-dir", str(run)]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    tasks = json.loads((run / "evaluation.json").read_text())["tasks"]
    return {task["name"]: task["success_rate"] for task in tasks}
