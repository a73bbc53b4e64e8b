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


def test_the_cause_is_named() -> None:
    env: Any = build_environment(parse_suite("reach-v3"), 0, 1, (), CONFIG)
    env.reset()
    env._env.data.qvel[:] = np.nan
    with pytest.raises(UnstableSimulationError, match=r"NaN or huge values in qvel"):
        env.step(np.zeros(4, np.float32))
