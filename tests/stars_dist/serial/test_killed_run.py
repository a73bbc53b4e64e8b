"""A serial run that is killed at any update and resumed makes what one makes that was not: bit for bit."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

# Starts the program again and again in forks of one process, as to load torch takes longer than the runs. Each is
# killed, not asked to end, before the update of a number.
PROGRAM = """
import json, os, signal, sys
import torch.utils.tensorboard
from learner.loop import LearnerLoop
from stars_dist.cli import main
from stars_dist.serial import serial_run

def start(arguments, kill_at, output):
    step = LearnerLoop.step
    def step_or_die(loop, *args):
        if loop.learner_steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(loop, *args)
    LearnerLoop.step = step_or_die
    sys.argv = ["stars-dist", *arguments]
    with open(output, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    main()

for arguments, kill_at, output in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        start(arguments, kill_at, output)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
NEVER = -1
TIMED = ("perf/", "wall_time_s")


def run_all(starts: list[tuple[list[str], int]], directory: Path, timeout_s: float = 290) -> list[str]:
    """Run the program once for each start, which is killed where it is to be and else ends well; return the outputs."""
    outputs = [directory / f"output-{number}" for number in range(len(starts))]
    calls = [(*start, str(output)) for start, output in zip(starts, outputs, strict=True)]
    command = [sys.executable, "-c", PROGRAM, json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    expected = [0 if kill_at == NEVER else -signal.SIGKILL for _, kill_at in starts]
    texts = [output.read_text() for output in outputs if output.exists()]
    assert list(map(int, done.stdout.split())) == expected, f"{done.stderr}\n{texts}"
    return texts


def twice(launch: list[str], kill_at: list[int], directory: Path, timeout_s: float = 290) -> list[str]:
    """Run into a without a kill and into b with kills, each before a resume; return the last output of each."""
    print(f"killed before updates {kill_at}")
    whole, killed = str(directory / "a"), str(directory / "b")
    starts = [(["launch", *launch, "--run-dir", whole], NEVER)]
    starts += [(["launch", *launch, "--run-dir", killed], kill_at[0])]
    starts += [(["resume", killed], number) for number in (*kill_at[1:], NEVER)]
    outputs = run_all(starts, directory, timeout_s)
    return [outputs[0], outputs[-1]]


def weights_hash(output: str) -> str:
    found = re.search(r"sha256 of the weights: (\w{64})", output)
    assert found
    return found[1]


def untimed_metrics(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: v for name, v in line.items() if not name.startswith(TIMED)} for line in lines]


def assert_equal(one: Path, other: Path) -> None:
    assert untimed_metrics(one) == untimed_metrics(other)
    assert (one / "evaluation.json").read_text() == (other / "evaluation.json").read_text().replace(
        str(other), str(one)
    )
    for name in ("transitions", "priority", "episodes", "episode_counts"):
        arrays = [np.load(run / "replay" / "shard-0" / f"{name}.npy") for run in (one, other)]
        assert arrays[0].tobytes() == arrays[1].tobytes(), name


def test_on_the_toy_suite(tmp_path: Path) -> None:
    """Checkpoints, evaluations, reports, sampling calls and chunks have periods that do not fit each other."""
    launch = ["--suite", "toy:2", "--preset", "small", "--serial", "--steps", "500"]
    launch += ["--eval-episodes", "1", "--eval-every", "150", "--checkpoint-every", "45"]
    sets = ("learner.metrics_every_updates=17", "actors.chunk_steps=13", "replay.capacity_per_task=150")
    sets += ("replay.warmup_steps_per_task=60", "learner.publish_every_updates=7")
    launch += [argument for value in sets for argument in ("--set", value)]
    kill_at = sorted(random.Random().sample(range(1, 180), 2))
    outputs = twice(launch, kill_at, tmp_path)
    assert weights_hash(outputs[0]) == weights_hash(outputs[1])
    assert_equal(tmp_path / "a", tmp_path / "b")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_on_meta_world(tmp_path: Path) -> None:
    """Kills fall into episodes in progress, whose simulations are brought back."""
    launch = ["--suite", "reach-v3,drawer-open-v3", "--preset", "small", "--serial", "--steps", "1400"]
    launch += ["--eval-episodes", "1", "--eval-every", "500", "--checkpoint-every", "90"]
    sets = ("actors.chunk_steps=30", "replay.warmup_steps_per_task=100", "environment.horizon=130")
    launch += [argument for value in sets for argument in ("--set", value)]
    kill_at = sorted(random.Random().sample(range(60, 590), 2))
    outputs = twice(launch, kill_at, tmp_path, timeout_s=1100)
    assert weights_hash(outputs[0]) == weights_hash(outputs[1])
    assert "cannot be repeated" not in "".join(outputs)
    assert_equal(tmp_path / "a", tmp_path / "b")
