"""An episode whose simulation blows up is broken off, although MuJoCo's observation after it looks sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.config import EnvironmentConfig
from actors.environment import build_environment
from actors.lane import Lane
from actors.stability import UnstableSimulationError
from actors.tasks import parse_suite

CONFIG = EnvironmentConfig(horizon=20)


@pytest.fixture(autouse=True)
def log_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MuJoCo writes its warnings into a file of the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("huge", [np.nan, 1e12])
def test_a_simulation_that_blows_up_ends_its_episode_alone(huge: float) -> None:
    suite = parse_suite("reach-v3", horizon=20)
    env: Any = build_environment(suite, 0, 1, (), CONFIG)
    lane = Lane(env, "reach-v3", 0, chunk_steps=30, max_failed_episodes=1)
    action = np.zeros(4, np.float32)
    for _ in range(10):
        lane.step(action, weights_version=0)
    env._env.data.qvel[:] = huge
    lane.step(action, weights_version=0)
    assert lane.failed_episodes == 1
    while not lane.full:
        lane.step(action, weights_version=0)
    chunk, episodes = lane.take()
    assert lane.failed_episodes == 1
    assert [episode.length for episode in episodes] == [20]
    np.testing.assert_allclose(chunk.obs[10], chunk.obs[0], atol=0.2)  # of the new episode


@pytest.mark.parametrize("task", ["reach-v3", "gym:HalfCheetah-v5"])
def test_the_cause_is_named_in_every_episode(task: str) -> None:
    """MuJoCo clears its counts when it resets a diverged state, so that the next one may look like the last."""
    env: Any = build_environment(parse_suite(task), 0, 1, (), CONFIG)
    for _ in range(2):
        env.reset()
        simulation = env._env.data if task == "reach-v3" else env._env.unwrapped.data
        simulation.qvel[:] = np.nan
        with pytest.raises(UnstableSimulationError, match=r"NaN or huge values in qvel and reset"):
            env.step(np.zeros(env.action_space.shape, np.float32))
