"""Five hundred actors and a thousand tasks on a Ray cluster of this machine."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from tests.stars_dist.cluster.test_actors import Run, start

__all__ = ["start"]

IN_THREADS = "from tests.stars_dist.cluster.actors_in_threads import install; install()"
SETS = (
    "actors.weights_poll_s=1",
    "actors.hang_timeout_s=60",
    "actors.reassign_after_s=120",
    "replay.warmup_steps_per_task=20",
)


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_five_hundred_actors_serve_a_thousand_tasks(start: Callable[..., Run]) -> None:
    """Their processes would take 33 GiB, so fifty share one; the other parts of the run are what is tested."""
    size = (
        "--suite",
        "toy:1000",
        "--actors",
        "500",
        "--shards",
        "4",
        "--steps",
        "60000",
        "--eval-episodes",
        "1",
    )
    run = start(*size, *(word for value in SETS for word in ("--set", value)), patch=IN_THREADS)
    assert run.process.wait(timeout=1400) == 0, run.output
    assert "actors 500/500" in run.output
    assert "starting it again" not in run.output and "was restarted" not in run.output
    np.testing.assert_array_equal(run.inserted(), np.full(1000, 60))
    assert len(json.loads((run.path / "evaluation.json").read_text())["tasks"]) == 1000
