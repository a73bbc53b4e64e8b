"""The processes of a run, found among those of the machine: real ones of a shell."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from stars_dist.chaos.run_processes import RunProcesses, is_alive, thaw

# A process that starts another one, which has a child itself; the one in between ends when a line comes.
PROGRAM = """
import subprocess, sys, time
middle = "import subprocess; subprocess.Popen(['sleep', '300']); input()"
subprocess.run([sys.executable, "-c", middle])
time.sleep(300)
"""


@pytest.fixture
def root() -> Iterator[psutil.Popen]:
    root = psutil.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    yield root
    for process in [*(root.children(recursive=True) if is_alive(root) else []), root]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    root.wait()


def wait_for(processes: RunProcesses, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(processes.alive) != count:
        assert time.monotonic() < deadline, processes.alive
        processes.look()
        time.sleep(0.02)


def test_children_are_found_over_any_depth_and_stay_found_when_their_parents_die(root: psutil.Popen) -> None:
    processes = RunProcesses()
    processes.follow(root)
    wait_for(processes, 3)
    root.stdin.write(b"\n")
    root.stdin.flush()
    wait_for(processes, 2)  # the one in between has ended, its child has not
    (orphan,) = [process for process in processes.alive if process.pid != root.pid]
    root.kill()
    root.wait()
    assert [process.pid for process in processes.alive] == [orphan.pid]
    orphan.kill()
    wait_for(processes, 0)


def test_a_stopped_process_is_alive_and_one_that_waits_for_its_parent_is_not(root: psutil.Popen) -> None:
    root.suspend()
    assert is_alive(root)
    thaw([root])
    root.kill()
    killed, deadline = psutil.Process(root.pid), time.monotonic() + 30
    while killed.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
    assert killed.is_running() and not is_alive(killed), "nobody has waited for it yet"
    thaw([killed])


def test_processes_are_told_apart_by_the_names_that_ray_gives_them(root: psutil.Popen) -> None:
    processes = RunProcesses()
    named = psutil.Popen(["bash", "-c", 'exec -a "ray::Shard.insert" sleep 300'])
    try:
        processes.follow(named)
        processes.follow(root)
        deadline = time.monotonic() + 10
        while not processes.of_kind("shard"):
            assert time.monotonic() < deadline
        assert [process.pid for process in processes.of_kind("shard")] == [named.pid]
        assert processes.of_kind("learner") == []
    finally:
        named.kill()
        named.wait()
