"""The process group of a local Ray: nothing of it outlives its program, nothing of it listens beyond this machine."""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

PROGRAM = """
import sys
import ray
from stars_dist.cluster.connection import connect
connect("local", 1)
ray.get(ray.remote(lambda: None).remote())  # a worker is there too
print("started", flush=True)
sys.stdin.read()
"""
pytestmark = pytest.mark.cluster


@contextmanager
def started() -> Iterator[subprocess.Popen[str]]:
    """A program that has started a Ray of its own."""
    command = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "started"
    yield process
    process.communicate("", timeout=60)


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    """One for all tests that only look at it."""
    with started() as process:
        yield process


def descendants(program: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(program.pid).children(recursive=True)


def test_all_of_it_ends_at_once_with_a_program_that_is_killed() -> None:
    with started() as program:
        processes = descendants(program)
        names = " ".join(part for process in processes for part in process.cmdline())
        assert "raylet" in names and "dashboard/agent.py" in names and "runtime_env/agent/main.py" in names
        program.send_signal(signal.SIGKILL)
        assert psutil.wait_procs(processes, timeout=10)[1] == []


def test_a_signal_to_the_programs_group_leaves_it_alone(program: subprocess.Popen[str]) -> None:
    assert not any(os.getpgid(process.pid) == os.getpgid(program.pid) for process in descendants(program))


def test_it_listens_on_loopback_alone(program: subprocess.Popen[str]) -> None:
    listening = {
        connection.laddr
        for process in [psutil.Process(program.pid), *descendants(program)]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert len(listening) > 3, "those of Ray's server, node manager and workers at least"
    assert {address for address in listening if not is_loopback(address.ip)} == set()


def is_loopback(text: str) -> bool:
    address = ipaddress.ip_address(text)  # of IPv6's sockets also ::ffff:127.0.0.1
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def test_all_of_it_ends_with_a_program_that_ends(program: subprocess.Popen[str]) -> None:
    processes = descendants(program)
    program.communicate("", timeout=60)
    assert psutil.wait_procs(processes, timeout=10)[1] == []
