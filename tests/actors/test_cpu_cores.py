"""The allotted cores: affinity and control group."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actors.cpu_cores import allotted_cores


def test_affinity_counts() -> None:
    code = "from actors.cpu_cores import allotted_cores; print(allotted_cores())"
    one = min(os.sched_getaffinity(0))
    command = ["taskset", "-c", str(one), sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "1"


@pytest.mark.parametrize(
    ("limit", "cores"),
    [
        ("max 100000", None),
        ("50000 100000", 1),
        ("150000 100000", 2),
        ("6400000 100000", None),
        ("nonsense", None),
    ],
)
def test_the_quota_of_the_control_group_counts(limit: str, cores: int | None, tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(limit)
    affinity = len(os.sched_getaffinity(0))
    assert allotted_cores(file) == (affinity if cores is None else min(cores, affinity))


def test_without_control_groups(tmp_path: Path) -> None:
    assert allotted_cores(tmp_path / "absent") == len(os.sched_getaffinity(0))
