"""An episode whose simulation diverges fails, although MuJoCo's observation after it looks sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mujoco as untyped_mujoco
import numpy as np
import pytest

from actors.config import EnvironmentConfig
from actors.env_runner import EnvRunner
from actors.environment import build_environment
from actors.stability import StabilityCheck, UnstableSimulationError
from actors.suites import parse_suite

mujoco: Any = untyped_mujoco  # defined in C, of which pyright knows nothing

CONFIG = EnvironmentConfig(horizon=20)


@pytest.fixture(autouse=True)
def log_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo writes its warnings into a file of the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("huge", [np.nan, 1e12])
def test_a_simulation_that_diverges_fails_its_episode_alone(huge: float) -> None:
    suite = parse_suite("reach-v3", horizon=20)
    env: Any = build_environment(suite, 0, 1, (), CONFIG)
    runner = EnvRunner(env, "reach-v3", 0, chunk_steps=30, max_failed_episodes=1)
    action = np.zeros(4, np.float32)
    for _ in range(10):
        runner.step(action, weights_version=0)
    env._env.data.qvel[:] = huge
    runner.step(action, weights_version=0)
    assert runner.failed_episodes == 1
    while not runner.full:
        runner.step(action, weights_version=0)
    chunk, episodes = runner.take()
    assert runner.failed_episodes == 1
    assert [episode.length for episode in episodes] == [20]
    np.testing.assert_allclose(chunk.obs[10], chunk.obs[0], atol=0.2)  # of the new episode


@pytest.mark.parametrize("task", ["reach-v3", "gym:HalfCheetah-v5"])
def test_the_cause_is_named(task: str) -> None:
    env: Any = build_environment(parse_suite(task), 0, 1, (), CONFIG)
    env.reset()
    env._env.unwrapped.data.qvel[:] = np.nan
    with pytest.raises(UnstableSimulationError, match=r"NaN or huge values in qvel and reset"):
        env.step(np.zeros(env.action_space.shape, np.float32))


def test_a_second_divergence_is_noticed_like_the_first() -> None:
    """MuJoCo clears its counts when it resets a diverged state, so that the next one looks like the last."""
    env: Any = build_environment(parse_suite("reach-v3"), 0, 1, (), CONFIG)
    model, data = env.simulation
    check = StabilityCheck(data)
    for _ in range(2):
        check.begin()
        check.check()
        data.qvel[:] = np.nan
        mujoco.mj_checkVel(model, data)
        with pytest.raises(UnstableSimulationError, match="qvel"):
            check.check()
