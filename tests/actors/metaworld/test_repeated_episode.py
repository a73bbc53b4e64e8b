"""An episode of Meta-World that is begun again from its random state and given its actions is the same to the last bit.

A serial run that is resumed brings its environments back by this, whatever they did before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actors.config import EnvironmentConfig
from actors.env_runner import EnvRunner
from actors.environment import build_environment
from actors.metaworld.benchmarks import benchmark_tasks
from actors.suites import parse_suite

SUITE = parse_suite("mt50", horizon=60)
CHUNK = 25
TASKS = benchmark_tasks("mt50")
QUICK = ("drawer-open-v3", "peg-insert-side-v3", "hammer-v3")


def runner_of(task: str, stream: int, config: EnvironmentConfig) -> EnvRunner:
    number = SUITE.task_names.index(task)
    env = build_environment(SUITE, number, 1, (0, 0, stream), config, None)
    return EnvRunner(env, task, number, CHUNK, max_failed_episodes=3)


def chunk_of(runner: EnvRunner, rng: np.random.Generator) -> list[Any]:
    action = np.zeros(4, np.float32)
    while not runner.full:
        if rng.random() < 0.2:  # moves that last, so that something is touched
            action = rng.uniform(-1, 1, 4).astype(np.float32)
        runner.step(action, 0)
    return list(runner.take()[0])


def check(task: str, config: EnvironmentConfig) -> None:
    original, other = runner_of(task, 0, config), runner_of(task, 1, config)
    for number in range(4):  # into the second episode
        chunk_of(original, np.random.default_rng(number))
    for number in range(3):  # and another past
        chunk_of(other, np.random.default_rng(100 + number))
    other.load_state_dict(original.state_dict())
    assert other._length == original._length == 40
    for number in range(4):
        chunks = [chunk_of(runner, np.random.default_rng(10 + number)) for runner in (original, other)]
        for one, same in zip(*chunks, strict=True):
            np.testing.assert_array_equal(one, same, err_msg=task)
    original.environment.close()
    other.environment.close()


@pytest.mark.parametrize("task", QUICK)
def test_repeats(task: str, caplog: pytest.LogCaptureFixture) -> None:
    check(task, EnvironmentConfig(horizon=60))
    assert "cannot be repeated" not in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_every_task_repeats(task: str, fast: bool, caplog: pytest.LogCaptureFixture) -> None:
    check(task, EnvironmentConfig(horizon=60, fast=fast))
    assert "cannot be repeated" not in caplog.text
