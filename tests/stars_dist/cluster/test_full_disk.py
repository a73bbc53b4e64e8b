"""A disk that is full when the learner writes its checkpoint: the run waits, and goes on when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.stars_dist.cluster.test_actors import Run, start

__all__ = ["start"]


class SmallDisk:
    """A file system of a few kilobytes over a directory, until it is given room."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)
        self._mount("size=16k", "tmpfs")

    def give_room(self) -> None:
        self._mount("remount,size=100m", "tmpfs")

    def close(self) -> None:
        subprocess.run(["umount", "-l", self._path], check=False, capture_output=True)

    def _mount(self, options: str, kind: str) -> None:
        command = ["mount", "-t", kind, "-o", options, kind, str(self._path)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this test needs the right to mount")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Callable[[Run], SmallDisk]]:
    disks: list[SmallDisk] = []

    def fill(run: Run) -> SmallDisk:
        disks.append(SmallDisk(run.path / "checkpoints"))
        return disks[-1]

    yield fill
    for disk in disks:
        disk.close()


@pytest.mark.cluster
@pytest.mark.slow
def test_a_full_disk_is_waited_for_and_the_run_goes_on(
    start: Callable[..., Run], full_disk: Callable[[Run], SmallDisk]
) -> None:
    run = start("--suite", "toy:2", "--actors", "2", "--steps", "1000000", "--checkpoint-every", "1000")
    run.wait_for(lambda: run.path.exists())
    disk = full_disk(run)
    run.wait_for(
        lambda: run.output.count("learner failed (") >= 3
    )  # an error of its own would have ended the run
    disk.give_room()
    run.wait_for(lambda: any((run.path / "checkpoints").glob("step-*")))
    assert run.process.poll() is None
