"""Published weights with random values, in the forms that the learner publishes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from actors.evaluator import Act, run_episode
from actors.goal_environment import GoalEnvironment
from actors.policy_weights import PolicyWeights

MakeWeights = Callable[..., PolicyWeights]


def run_episodes(act: Act, env: GoalEnvironment, episodes: int) -> tuple[int, list[float]]:
    """How many of the first episodes succeed, and the return of each; none may fail."""
    results = [run_episode(act, env, number) for number in range(episodes)]
    assert [result.failure for result in results] == [None] * episodes
    return sum(result.success is True for result in results), [result.return_ for result in results]


@pytest.fixture
def make_weights() -> MakeWeights:
    return random_weights


def random_weights(
    form: str = "stars", num_tasks: int = 4, obs_dim: int = 6, action_dim: int = 2, version: int = 1
) -> PolicyWeights:
    """stars: composed trunk and unique branch; paco: trunk alone; mtsac: one-hot; multi-head: own heads."""
    rng = np.random.default_rng(version)
    num_features, params = 0, {"log_std_bounds": np.array([-5.0, 1.0], np.float32)}

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(0.5)

    def add_branch(name: str, mix: np.ndarray, vector: np.ndarray | None, widths: tuple[int, ...]) -> None:
        params[f"{name}/mix"] = mix
        if vector is not None:
            params[f"{name}/task_vector"] = vector
        width = obs_dim + (0 if vector is None else vector.shape[1])
        for i, out in enumerate(widths):
            params[f"{name}/{i}/weight"] = normal(mix.shape[1], width, out)
            params[f"{name}/{i}/bias"] = normal(mix.shape[1], out)
            width = out

    ones = np.ones((num_tasks, 1), np.float32)
    if form in ("stars", "paco"):
        add_branch("shared", normal(num_tasks, 3), None, (16, 12, 10))
        num_features += 10
    if form in ("mtsac", "multi-head"):
        add_branch("shared", ones, np.eye(num_tasks, dtype=np.float32), (16, 12))
        num_features += 12
    if form in ("stars", "unique-only"):
        add_branch("unique", ones, normal(num_tasks, 5), (14, 8))
        num_features += 8
    heads = {"multi-head": np.eye(num_tasks, dtype=np.float32), "mtsac": ones}.get(form, normal(num_tasks, 3))
    params["head/mix"] = heads
    params["head/weight"] = normal(heads.shape[1], num_features, 2 * action_dim)
    params["head/bias"] = normal(heads.shape[1], 2 * action_dim)
    return PolicyWeights(version, params)
