"""A disk that is full when the learner writes its checkpoint: the run goes on, and saves when there is room."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.small_disk import SmallDisk
from tests.stars_dist.cluster.test_actors import Run, start

__all__ = ["start"]


@pytest.mark.cluster
@pytest.mark.slow
def test_checkpoints_pause_on_a_full_disk_and_go_on(
    start: Callable[..., Run], small_disk: Callable[..., SmallDisk]
) -> None:
    run = start("--suite", "toy:2", "--actors", "2", "--steps", "1000000", "--checkpoint-every", "1000")
    run.wait_for(lambda: run.path.exists())
    disk = small_disk("16k", run.path / "checkpoints")
    run.wait_for(lambda: f"warning: checkpoints pause, the disk at {disk.path}" in run.output)
    disk.resize("100m")
    run.wait_for(lambda: "checkpoints go on" in run.output and any(disk.path.glob("step-*")))
    assert run.process.poll() is None
    assert "learner failed" not in run.output and "Traceback" not in run.output
