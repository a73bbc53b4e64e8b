"""Beside a run that trains in another process: looking works, and what would write to it is refused in one line."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stars_dist.commands.program import PROGRAM, run_program

LAUNCH = ("launch", "--suite", "toy:2", "--preset", "small", "--serial", "--steps", "100M")
OPTIONS = ("--checkpoint-every", "1000", "--eval-episodes", "2")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    run = tmp_path_factory.mktemp("live") / "run"
    training = subprocess.Popen(
        [*PROGRAM, *LAUNCH, *OPTIONS, "--run-dir", str(run)], stdout=subprocess.DEVNULL, text=True
    )
    try:
        deadline = time.monotonic() + 120
        while not any((run / "checkpoints").glob("step-*/policy.npz")):
            assert training.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
        yield run
        training.send_signal(signal.SIGINT)
        assert training.wait(60) == 130, "what looked at it did it no harm"
    finally:
        training.kill()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "command",
    ["status RUN", "runs RUN", "evaluate RUN --episodes 1", "replay inspect RUN", "config show RUN"]
    + ["export RUN --format safetensors --out OUT/policy.safetensors"]
    + ["features RUN --episodes 1 --states 4 --out OUT/features.png"],
)
def test_looking_at_it_works(command: str, live: Path, tmp_path: Path) -> None:
    words = command.replace("RUN", str(live)).replace("OUT", str(tmp_path)).split()
    done = run_program(*words)
    assert done.returncode == 0 and done.stdout and "Traceback" not in done.stderr, done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("resume", "RUN"), "RUN is in use; stop that run first"),
        (("report", "RUN"), "RUN is still training; look at it with: stars-dist status RUN"),
        ((*LAUNCH, *OPTIONS, "--run-dir", "RUN"), "RUN is in use; stop that run first"),
        (
            (*LAUNCH, *OPTIONS, "--seed", "2", "--run-dir", "RUN"),
            "RUN holds another run (seed is 1 there and 2 here",
        ),
    ],
    ids=["resume", "report", "the same launch", "another launch"],
)
def test_what_would_write_to_it_is_refused(words: tuple[str, ...], message: str, live: Path) -> None:
    done = run_program(*(word.replace("RUN", str(live)) for word in words))
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message.replace("RUN", str(live)) in done.stderr


def test_it_is_listed_as_training(live: Path) -> None:
    (listed,) = json.loads(run_program("runs", live.parent, "--json").stdout)
    assert listed["state"] == "training" and listed["last_checkpoint"] is not None
