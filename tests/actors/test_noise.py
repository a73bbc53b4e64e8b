"""Noise on observations and rewards, and hidden goals, in every family; all from the environment's own stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from actors.config import EnvironmentConfig
from actors.environment import build_environment
from actors.goal_environment import GoalEnvironment
from actors.suites import parse_suite


def build(name: str, task_id: int = 0, stream: tuple[int, ...] = (0,), **config: Any) -> GoalEnvironment:
    return build_environment(parse_suite(name), task_id, 1, stream, EnvironmentConfig(**config))


def rollout(env: GoalEnvironment, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Observations f32[steps + 1, O] and rewards f64[steps] of goal 0 under fixed actions."""
    rng = np.random.default_rng(5)
    obs = [env.reset(options={"goal": 0})[0]]
    rewards = []
    for _ in range(steps):
        action = rng.uniform(-1, 1, env.action_space.shape or ()).astype(np.float32)
        row, reward, *_ = env.step(action)
        obs.append(row)
        rewards.append(reward)
    return np.array(obs), np.array(rewards)


@pytest.mark.parametrize("name", ["toy:1", "gym:Pendulum-v1,MountainCarContinuous-v0", "reach-v3"])
def test_noise_has_its_standard_deviation_and_leaves_the_simulation_alone(name: str) -> None:
    """Kolmogorov-Smirnov at a fixed seed: the bound is the distance that 0.1 % of true samples pass."""
    task_id = 0 if not name.startswith("gym") else 1  # two components of three
    clean_obs, clean_rewards = rollout(build(name, task_id), 300)
    env = build(name, task_id, observation_noise=0.1, reward_noise=2.0)
    obs, rewards = rollout(env, 300)
    own = slice(None, env.own_obs_dim)
    blur = (obs - clean_obs)[:, own].ravel() / 0.1
    assert stats.kstest(blur, "norm").pvalue > 0.001
    assert stats.kstest((rewards - clean_rewards) / 2.0, "norm").pvalue > 0.001
    assert not obs[:, env.own_obs_dim :].any()
    assert len(np.unique(blur)) > 0.99 * blur.size


def test_noise_is_of_the_actors_stream() -> None:
    def noisy(*stream: int) -> np.ndarray:
        return rollout(build("toy:1", stream=stream, observation_noise=0.1), 5)[0]

    np.testing.assert_array_equal(noisy(0), noisy(0))
    assert not np.array_equal(noisy(0), noisy(1))


@pytest.mark.parametrize(("name", "goal"), [("toy:1", slice(2, 6)), ("reach-v3", slice(36, 39))])
def test_a_hidden_goal(name: str, goal: slice) -> None:
    shown, _ = rollout(build(name), 20)
    hidden, _ = rollout(build(name, partially_observable=True), 20)
    assert shown[:, goal].all(axis=1).any()
    assert not hidden[:, goal].any()
    np.testing.assert_array_equal(
        np.delete(shown, np.r_[goal], axis=1), np.delete(hidden, np.r_[goal], axis=1)
    )


@pytest.mark.parametrize("wrong", [{"observation_noise": -1.0}, {"reward_noise": float("nan")}])
def test_wrong_noise(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EnvironmentConfig(**wrong)  # type: ignore[arg-type]
