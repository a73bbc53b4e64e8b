"""Meta-World by `gym.make` and `gym.make_vec`: Gymnasium's checker, the library's bits, another library's SAC."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from actors.environment import make_environment
from actors.metaworld.benchmarks import benchmark_tasks
from actors.registration import TASKS, register

register()  # as the import of stars_dist does


def test_every_task_of_the_library_is_registered() -> None:
    assert sorted(TASKS) == sorted(benchmark_tasks("mt1"))
    assert all(f"stars-dist/{name}" in gymnasium.registry for name in (*TASKS, "MT10", "MT25", "MT50"))


@pytest.mark.parametrize(
    "words",
    [
        "import gymnasium as gym, stars_dist; env = gym.make('stars-dist/reach-v3')",
        "import gymnasium as gym; env = gym.make('stars_dist:stars-dist/reach-v3')",
    ],
)
def test_another_program_makes_one_after_the_import_alone(words: str) -> None:
    then = "; obs, _ = env.reset(seed=1); print(env.spec.id, obs.shape)"
    done = subprocess.run([sys.executable, "-c", words + then], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["stars-dist/reach-v3", "(39,)"], done.stderr


def test_the_checker_of_gymnasium_finds_no_error() -> None:
    """It raises for each error it knows, as for an observation outside the space; only its advice is warnings."""
    env = gymnasium.make("stars-dist/push-v3").unwrapped
    with (
        warnings.catch_warnings()
    ):  # of bounds that are infinite, as Meta-World's own resets break finite ones
        warnings.simplefilter("ignore")
        check_env(env, skip_render_check=True)
        env.observation_space = gymnasium.spaces.Box(-1e-6, 1e-6, (39,))
        with pytest.raises(AssertionError, match="observation"):
            check_env(env, skip_render_check=True)
    env.close()


def test_a_task_is_the_one_that_actors_step() -> None:
    ours, plain = (
        gymnasium.make("stars-dist/reach-v3", seed=3),
        make_environment("reach-v3", "mt1", 3, fast=False),
    )
    rng = np.random.default_rng(0)
    first, _ = ours.reset(options={"goal": 5})
    assert np.array_equal(first, plain.reset(options={"goal": 5})[0])
    for _ in range(30):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        obs, reward, terminated, truncated, info = ours.step(action)
        expected, expected_reward, *_, expected_info = plain.step(action)
        assert np.array_equal(obs, expected) and reward == expected_reward
        assert not terminated and not truncated and info["success"] == expected_info["success"]


def test_a_benchmark_steps_all_its_tasks() -> None:
    envs = gymnasium.make_vec("stars-dist/MT10", one_hot=True)
    try:
        obs, _ = envs.reset(seed=1)
        assert envs.num_envs == 10 and obs.shape == (10, 49)
        assert np.array_equal(obs[:, 39:], np.eye(10, dtype=np.float32))
        obs, reward, *_, info = envs.step(envs.action_space.sample())
        assert reward.shape == (10,) and np.isfinite(obs).all() and info["success"].shape == (10,)
    finally:
        envs.close()


@pytest.mark.timeout(600)
def test_stable_baselines3_trains_on_a_task() -> None:
    sb3: Any = pytest.importorskip("stable_baselines3")
    env = gymnasium.make("stars-dist/drawer-close-v3", horizon=100)
    model = sb3.SAC(
        "MlpPolicy", env, learning_starts=100, batch_size=32, policy_kwargs={"net_arch": [32]}, seed=1
    )
    model.learn(300)
    assert model.num_timesteps == 300 and len(model.ep_info_buffer) == 3
    assert all(np.isfinite(episode["r"]) and episode["l"] == 100 for episode in model.ep_info_buffer)
    assert sys.modules["torch"]  # it learned for real
