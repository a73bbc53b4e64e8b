"""Evaluations on a Ray cluster of this machine: they end whatever the environments do, and never wait for weights."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.policy import NumpyPolicy
from actors.task_weights import split_weights
from stars_dist.cluster.coordinator import Coordinator
from stars_dist.config.merge import resolve, set_layer
from stars_dist.run_files.directory import RunDirectory
from tests.actors.conftest import random_weights

SUITE = "gym:failing_environment:Troubled-v0,failing_environment:Stuck-v0"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cluster whose processes find the environments; where these note what troubles they have had."""
    import ray

    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", f"{here}:{Path(__file__).parents[3]}")
    monkeypatch.setenv("FAILING_MARKERS", str(tmp_path))
    monkeypatch.syspath_prepend(here)
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    yield tmp_path
    ray.shutdown()


@pytest.mark.cluster
def test_an_evaluation_ends_though_episodes_raise_hang_and_die(cluster: Path) -> None:
    from stars_dist.cluster.evaluation import Evaluation

    sets = (f"suite={SUITE}", "actors.hang_timeout_s=3", "actors.weights_poll_s=0.2")
    plan = resolve([*map(set_layer, sets)]).plan
    weights, log = random_weights("mtsac", num_tasks=2, obs_dim=plan.suite.obs_dim, action_dim=1), list[str]()
    evaluation = Evaluation(RunDirectory(cluster), plan, weights, 1000, 6, 2, log.append)
    deadline = time.monotonic() + 200
    while not evaluation.is_done:
        assert time.monotonic() < deadline, log
        evaluation.advance(timeout_s=0.2)
    result = evaluation.result("here")
    troubled, stuck = result.tasks
    assert (troubled.n, troubled.failed, troubled.mean_return) == (6, 2, 5.0), (
        log
    )  # raised, hung; the death is made up
    assert (stuck.n, stuck.failed, stuck.success_rate) == (6, 6, 0.0)
    text = "\n".join(log)
    assert re.search(r"Troubled-v0: its process was lost \(no (answer|step) for", text)
    assert "Troubled-v0: its process was lost (its process died)" in text
    assert "Stuck-v0: its process was lost (no step for" in text
    assert "evaluation: 8 episodes failed and count as no success" in text


@pytest.mark.cluster
def test_weights_are_fetched_without_a_wait(cluster: Path) -> None:
    import ray

    from stars_dist.cluster.newest_weights import NewestWeights

    coordinator: Any = ray.remote(Coordinator).remote()
    newest = NewestWeights(coordinator)
    assert newest.advance() is None, "the coordinator has not even started"
    weights = random_weights(version=7)
    _, common, of_task = split_weights(weights)
    ray.get(coordinator.publish.remote(7, [ray.put(common)], [ray.put(part) for part in of_task]))
    deadline, fetched = time.monotonic() + 60, None
    while fetched is None and time.monotonic() < deadline:
        fetched = newest.advance()
        time.sleep(0.05)
    assert fetched is not None and fetched.version == 7
    obs = np.ones((1, 6), np.float32)
    for task in range(4):
        expected = NumpyPolicy(weights, [task], obs_dim=6).act(obs)
        np.testing.assert_allclose(NumpyPolicy(fetched, [task], obs_dim=6).act(obs), expected, rtol=1e-5)
    ray.kill(coordinator)
    for _ in range(20):
        newest.advance()  # nothing or the last answer, and never an exception
        time.sleep(0.05)
