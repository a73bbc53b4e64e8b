"""The toy suite: every task can be solved by its own controller, none of them solves all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from actors.environment import make_environment
from actors.families.toy import ToyEnvironment
from tests.actors.conftest import run_episodes

NUM_TASKS = 8


def toy(task_id: int) -> ToyEnvironment:
    env = make_environment(f"toy-{task_id}", f"toy:{NUM_TASKS}", seed=3)
    assert isinstance(env, ToyEnvironment)
    return env


def controlled_success(controller: ToyEnvironment, env: ToyEnvironment) -> float:
    """Success rate in `env` of the controller that is right for another task: straight to the target."""
    turn = np.array(controller.turn).reshape(2, 2)

    def act(obs: np.ndarray) -> np.ndarray:
        wanted = obs[4:6] - np.array([controller.drift, 0.0])
        return np.clip(turn.T @ wanted / controller.speed, -1.0, 1.0)

    successes, _ = run_episodes(act, env, 50)
    return successes / 50


@pytest.mark.parametrize("task_id", range(NUM_TASKS))
def test_each_task_is_solved_by_its_own_controller(task_id: int) -> None:
    assert controlled_success(toy(task_id), toy(task_id)) == 1.0


@pytest.mark.parametrize("task_id", range(NUM_TASKS))
def test_no_controller_solves_all_tasks(task_id: int) -> None:
    rates = [controlled_success(toy(task_id), toy(other)) for other in range(4)]
    assert min(rates) < 0.2


def test_idle_and_random_policies_fail() -> None:
    rng = np.random.default_rng(0)
    for task_id in range(NUM_TASKS):
        assert run_episodes(lambda _: np.zeros(2), toy(task_id), 50)[0] == 0
        # Chance alone: the bound is far below the 50 successes of the right controller.
        assert run_episodes(lambda _: rng.uniform(-1, 1, 2), toy(task_id), 50)[0] < 15


def test_first_two_tasks_conflict() -> None:
    """In the same place the same action has opposite effects; the observation does not tell them apart."""
    first, second = toy(0), toy(1)
    second.goals = first.goals
    obs, _ = first.reset(options={"goal": 4})
    np.testing.assert_array_equal(obs, second.reset(options={"goal": 4})[0])
    action = np.array([0.3, -0.7], np.float32)
    moved, other = first.step(action)[0][:2] - obs[:2], second.step(action)[0][:2] - obs[:2]
    np.testing.assert_array_equal(np.sign(moved), -np.sign(other))
    assert np.abs(moved).min() > 0.01 and np.abs(other).min() > 0.01


def test_every_task_is_harder_than_the_one_before() -> None:
    tasks = [toy(task_id) for task_id in range(6)]
    for easier, harder in pairwise(tasks):
        assert harder.radius < easier.radius and harder.speed < easier.speed
        assert harder.drift > easier.drift and harder.sharpness > easier.sharpness


def test_rewards_have_metaworlds_scale() -> None:
    env = toy(0)
    for goal in range(50):
        env.reset(options={"goal": goal})
        _, reward, _, _, info = env.step(np.zeros(2, np.float32))
        assert 0.0 < reward <= 8.0
        assert info["success"] == 0.0
    env._x, env._y = env._target_x, env._target_y
    _, reward, _, _, info = env.step(np.zeros(2, np.float32))
    assert (reward, info["success"]) == (10.0, 1.0)


def test_goals_differ_between_tasks_and_seeds_alone() -> None:
    def goals(task_id: int, seed: int) -> np.ndarray:
        return make_environment(f"toy-{task_id}", "toy:2", seed=seed, stream=(seed,)).goals

    np.testing.assert_array_equal(goals(0, 1), goals(0, 1))
    assert not np.array_equal(goals(0, 1), goals(1, 1))
    assert not np.array_equal(goals(0, 1), goals(0, 2))


def test_a_toy_task_draws_nothing() -> None:
    with pytest.raises(ValueError, match="render_mode 'rgb_array'"):
        make_environment("toy-0", "toy:1", render_mode="rgb_array")
