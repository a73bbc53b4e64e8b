"""Ray's own processes: without them a run saves its last state and ends in order, and not by a crash a minute later."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROGRAM = """
import sys
from stars_dist.cluster.connection import connect
from stars_dist.cluster.ray_processes import check_ray, lost_process, shut_down
from stars_dist.errors import RunFailedError
connect("local", 1)
assert lost_process() is None
print("started", flush=True)
sys.stdin.readline()
try:
    check_ray()
except RunFailedError as error:
    print(error)
shut_down()
"""
MAIN = "from stars_dist.cli import main; main()"
pytestmark = [pytest.mark.cluster, pytest.mark.chaos]


def killed(program: int, name: str) -> list[psutil.Process]:
    """Kill a process of a program's Ray; return all that the program has started."""
    processes = psutil.Process(program).children(recursive=True)
    (victim,) = [process for process in processes if process.name() == name]
    victim.kill()
    return processes


@pytest.mark.parametrize("name", ["gcs_server", "raylet"])
def test_a_program_that_loses_one_ends_in_order(name: str) -> None:
    command = [sys.executable, "-c", PROGRAM]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    assert program.stdout.readline() == "started\n"
    processes = killed(program.pid, name)
    psutil.wait_procs([process for process in processes if process.name() == name], timeout=10)
    time.sleep(0.2)
    out, _ = program.communicate("\n", timeout=30)
    assert f"Ray's {name} has died" in out and program.returncode == 1
    assert psutil.wait_procs(processes, timeout=10)[1] == []


@pytest.mark.slow
def test_a_run_that_loses_rays_server_has_saved_its_last_state(tmp_path: Path) -> None:
    options = ("--suite", "toy:2", "--preset", "small", "--steps", "60000", "--address", "local")
    command = [sys.executable, "-u", "-c", MAIN, "launch", *options, "--run-dir", str(tmp_path / "run")]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert run.stdout is not None
    for line in run.stdout:
        if " updates/s" in line and "update 0/" not in line:
            break
    processes = killed(run.pid, "gcs_server")
    out, _ = run.communicate(timeout=60)
    assert run.returncode == 1, out
    assert "Traceback" not in out
    assert "giving up (Ray's gcs_server has died" in out and f"then: stars-dist resume {tmp_path}/run" in out
    assert len(list((tmp_path / "run" / "checkpoints").glob("step-*"))) == 1
    assert psutil.wait_procs(processes, timeout=10)[1] == []
