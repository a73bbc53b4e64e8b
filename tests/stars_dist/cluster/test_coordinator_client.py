"""An actor's client: weights of its own tasks, and other tasks no earlier than the weights for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from actors.sync import ActorStats
from actors.task_weights import split_weights
from stars_dist.cluster.coordinator import Coordinator
from tests.actors.conftest import random_weights


@pytest.fixture
def cluster() -> Iterator[None]:
    import ray

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


OBS = np.ones((1, 6), np.float32)


def publish(coordinator: Any, version: int) -> PolicyWeights:
    import ray

    weights = random_weights(version=version)
    _, common, of_task = split_weights(weights)
    ray.get(coordinator.publish.remote(version, [ray.put(common)], [ray.put(part) for part in of_task]))
    return weights


class Actor:
    """An actor of one task at first, which serves what it is told at once."""

    def __init__(self, coordinator: Any) -> None:
        from stars_dist.cluster.coordinator_client import CoordinatorClient

        self.task_ids: tuple[int, ...] = (1,)
        self.held: PolicyWeights | None = None
        self._client = CoordinatorClient(coordinator, 0.0, self.task_ids)

    def sync(self) -> None:
        version = None if self.held is None else self.held.version
        reply = self._client.sync(ActorStats(0, 0, 0, 0, 0, version, 0.0, 0.0, 0.0, 0.0, self.task_ids))
        self.held = reply.weights or self.held
        self.task_ids = reply.task_ids or self.task_ids
        for task in self.task_ids if self.held is not None else ():
            assert self.held is not None
            action = NumpyPolicy(self.held, [task], 6).act(OBS)
            assert np.isfinite(action).all(), f"no weights for task {task}"

    def until(self, version: int, task_ids: tuple[int, ...]) -> PolicyWeights:
        deadline = time.monotonic() + 60
        while self.held is None or self.held.version != version or self.task_ids != task_ids:
            assert time.monotonic() < deadline
            self.sync()
            time.sleep(0.01)
        return self.held


@pytest.mark.cluster
def test_weights_and_tasks_arrive_together(cluster: None) -> None:
    import ray

    coordinator: Any = ray.remote(Coordinator).remote()
    publish(coordinator, 7)
    actor = Actor(coordinator)
    held = actor.until(7, (1,))
    assert held.params["head/weight"].shape[0] == 1, "of its own task alone"
    for task_ids in ((1, 3), (0, 1, 2, 3), (2,)):
        ray.get(coordinator.collect_heartbeats.remote({0: task_ids}))
        actor.until(7, task_ids)
    weights = publish(coordinator, 8)
    held = actor.until(8, (2,))
    expected = NumpyPolicy(weights, [2], 6).act(OBS)
    np.testing.assert_allclose(NumpyPolicy(held, [2], 6).act(OBS), expected, rtol=1e-5)
    ray.kill(coordinator)
    for _ in range(20):
        actor.sync()  # the last answer or nothing, and never an exception
        time.sleep(0.05)
