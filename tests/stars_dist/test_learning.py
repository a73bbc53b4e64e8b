"""STARS learns the toy suite, whose tasks conflict and of which each is harder than the one before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.stars_dist.test_training import metrics

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()", "launch"]
STEPS = 16_000
EVALUATED_FROM = 8_000  # before, no task is solved
EVERY_STEPS = 2_000
SEEDS = (1, 2)
MARGIN = 0.05


class Learned(NamedTuple):
    final: list[float]  # success of each task at the end, 50 episodes
    worst: float  # success of the worst task, mean over the evaluations on the way
    output: str


def start(preset: str, seed: int, run: Path) -> subprocess.Popen[str]:
    """Start a serial run, bit-reproducible on one machine."""
    arguments = ["--suite", "toy:4", "--preset", preset, "--preset", "small", "--serial"]
    arguments += ["--steps", str(STEPS), "--seed", str(seed), "--run-dir", str(run)]
    arguments += ["--eval-every", str(EVERY_STEPS), "--set", "evaluation.episodes_per_task=50"]
    arguments += ["--set", "learner.torch_threads=1"]
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def learned(process: subprocess.Popen[str], run: Path) -> Learned:
    output, _ = process.communicate(timeout=1100)
    assert process.returncode == 0, output
    worst = [
        min(value for key, value in line.items() if key.startswith("eval/success/"))
        for line in metrics(run)
        if "eval/mean_success" in line and line["env_steps"] >= EVALUATED_FROM
    ]
    tasks = json.loads((run / "evaluation.json").read_text())["tasks"]
    return Learned([task["success_rate"] for task in tasks], sum(worst) / len(worst), output)


@pytest.mark.learning
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_stars_learns_the_toy_suite_and_its_worst_task_sooner(tmp_path: Path) -> None:
    """At the end all tasks; on the way, more of the worst one than uniform sampling, in the mean of the seeds."""
    ahead = []
    for seed in SEEDS:
        runs = {preset: tmp_path / f"{preset}-{seed}" for preset in ("stars", "uniform-sampling")}
        processes = [start(preset, seed, run) for preset, run in runs.items()]  # one core each
        try:
            stars, uniform = map(learned, processes, runs.values())
        finally:
            for process in processes:
                process.kill()
        assert sum(stars.final) / len(stars.final) >= 0.95, stars.final
        # That tasks drift apart is true on the way: the last is hardest.
        assert "collapse" not in stars.output
        ahead.append(stars.worst - uniform.worst)
    assert sum(ahead) / len(ahead) >= MARGIN, ahead
