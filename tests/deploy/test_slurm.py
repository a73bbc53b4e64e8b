"""The Slurm script: it saves before the time limit, goes into the queue again, and goes on with its run there."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "slurm" / "launch.sbatch"
SMALL = ["--suite", "toy:2", "--preset", "small", "--eval-episodes", "2", "--serial"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a job, the program of this checkout, and a `scontrol` that notes how it was called."""
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    programs = {
        "stars-dist": f'#!/bin/sh\nexec {sys.executable} -m stars_dist "$@"\n',
        "scontrol": f'#!/bin/sh\necho "$@" >> {tmp_path}/scontrol.log\n',
    }
    for name, text in programs.items():
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    (tmp_path / "fast").mkdir()
    job = {"SLURM_JOB_ID": "17", "TMPDIR": f"{tmp_path}/fast", "PYTHONPATH": str(ROOT)}
    return os.environ | job | {"PATH": f"{bin_}:{os.environ['PATH']}"}


def test_the_script_is_bash_and_asks_for_a_queue_again() -> None:
    assert subprocess.run(["bash", "-n", SCRIPT]).returncode == 0
    options = re.findall(r"^#SBATCH (\S+)$", SCRIPT.read_text(), re.MULTILINE)
    assert {"--requeue", "--open-mode=append"} <= set(options)
    (seconds,) = [option.removeprefix("--signal=B:USR1@") for option in options if "signal" in option]
    assert int(seconds) >= 150, "thirty seconds to save and the two minutes that a run may take to end"


@pytest.mark.slow
def test_the_time_limit_saves_the_run_and_the_next_job_goes_on_with_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ["bash", SCRIPT, str(run), *SMALL, "--steps", "2400"]
    job = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, process_group=0)
    try:
        wait_for(run / "metrics.jsonl")
        job.send_signal(signal.SIGUSR1)
        output, _ = job.communicate(timeout=90)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode == 130, output
    assert (tmp_path / "scontrol.log").read_text() == "requeue 17\n"
    assert (run / "replay").resolve().parent == tmp_path / "fast"
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert again.returncode == 0, again.stderr
    assert "holds this run, which goes on" in again.stdout
    assert (tmp_path / "scontrol.log").read_text() == "requeue 17\n"


@pytest.mark.parametrize("arguments", [[], ["runs/relative"]])
def test_a_directory_that_a_later_job_would_not_find_is_refused(
    arguments: list[str], environment: dict[str, str]
) -> None:
    done = subprocess.run(["bash", SCRIPT, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode != 0 and "RUN_DIR" in done.stderr


def wait_for(path: Path, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < deadline, f"waited in vain for {path}"
        time.sleep(0.2)
