"""The memory of a run's processes: all of few, some at a time of many."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import psutil
import pytest

from stars_dist.monitor.memory import ProcessTreeMemory

HOLDS_64_MIB = "import sys; held = b'x' * 2**26; print(flush=True); sys.stdin.read()"


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, "-c", HOLDS_64_MIB]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    yield processes
    for process in processes:
        process.communicate()


def test_every_process_of_few_counts_at_once_and_one_that_ended_no_more(
    children: list[subprocess.Popen[bytes]],
) -> None:
    memory = ProcessTreeMemory(measured_for_s=60.0)
    alone = psutil.Process().memory_full_info().pss / 2**30
    assert memory.gib() - alone > 3 / 16
    children[0].communicate()
    assert 2 / 16 < memory.gib() - alone < 3 / 16


def test_of_many_some_are_measured_at_a_time_each_in_its_turn(
    children: list[subprocess.Popen[bytes]],
) -> None:
    memory = ProcessTreeMemory(measured_for_s=0.0)
    others = len(psutil.Process().children(recursive=True))  # these, and what other tests keep
    sums = [memory.gib() for _ in range(others + 5)]
    rising = sums[: others + 1]  # one process more each time
    assert all(before <= after for before, after in pairwise(rising))
    assert sums[0] < sums[others] - 2 / 16
    assert max(sums[others:]) - min(sums[others:]) < 1 / 32  # and then each as it was last
    children[0].communicate()
    assert sums[-1] - memory.gib() > 1 / 32
