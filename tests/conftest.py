"""One thread for every library: tests share the machine with the processes that they start."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # read when numpy and torch are loaded, which is after this

from tests.small_disk import SmallDisk  # noqa: E402


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., SmallDisk]]:
    """Mount small disks, each over a path that must be below the test's own directory."""
    disks: list[SmallDisk] = []

    def mount(size: str, path: Path = tmp_path / "disk") -> SmallDisk:
        disks.append(SmallDisk(path, size))
        return disks[-1]

    yield mount
    for disk in disks:
        disk.close()
