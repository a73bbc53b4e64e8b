"""Suites of registered Gymnasium environments: sizes, padding, scaling, success, ends, and what is refused."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

from actors.config import EnvironmentConfig
from actors.env_runner import EnvRunner
from actors.environment import build_environment
from actors.goal_environment import GoalEnvironment
from actors.suites import parse_suite
from actors.tasks import Suite
from tests.actors.conftest import run_episodes

CLASSIC = "gym:Pendulum-v1,MountainCarContinuous-v0"
FETCH = "gym:FetchReach-v4,FetchPush-v4"
needs_robotics = pytest.mark.skipif(
    importlib.util.find_spec("gymnasium_robotics") is None,
    reason="needs the extra robotics: pip install 'stars-dist[robotics]'",
)


def build(suite: Suite, task_id: int, stream: tuple[int, ...] = (), **config: Any) -> GoalEnvironment:
    return build_environment(suite, task_id, 1, stream, EnvironmentConfig(**config))


class Corridor(gymnasium.Env):
    """Ten fields to the right; the end is terminal and a success, a place left of zero truncates."""

    observation_space = spaces.Dict({"position": spaces.Box(-20, 20, (1,)), "start": spaces.Box(0, 3, (2,))})
    action_space = spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([4.0, 1.0], np.float32))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.start = self.np_random.uniform(0, 3, 2)
        self.position = self.start[0]
        return self._observe(), {}

    def step(self, action: np.ndarray) -> Any:
        self.last_action = action
        self.position += action[0]
        return self._observe(), 1, self.position >= 10, self.position < 0, {"success": self.position >= 10}

    def _observe(self) -> dict[str, np.ndarray]:
        return {"position": np.array([self.position]), "start": self.start}


gymnasium.register("StarsCorridor-v0", lambda **_: Corridor())


class Bare(Corridor):
    """Takes no render_mode, prints and warns."""

    def __init__(self) -> None:
        print("a banner")
        print("another", file=sys.stderr)
        warnings.warn("a warning", stacklevel=1)


class Unbounded(Corridor):
    """Its bounds are those of a float."""

    action_space = spaces.Box(-3.4e38, 3.4e38, (1,), np.float32)


def raises(error: Exception) -> Any:
    def construct(**_: Any) -> Any:
        raise error

    return construct


gymnasium.register("StarsBare-v0", f"{__name__}:Bare")
gymnasium.register("StarsUnbounded-v0", lambda **_: Unbounded())
gymnasium.register("StarsUnlicensed-v0", raises(RuntimeError("no licence\nto run")))
gymnasium.register("StarsNeedsExtra-v0", raises(gymnasium.error.DependencyNotInstalled("pip install it")))
MIXED = "gym:StarsCorridor-v0,Pendulum-v1"


@pytest.mark.parametrize("name", [CLASSIC, MIXED, pytest.param(FETCH, marks=needs_robotics)])
def test_gymnasiums_own_checker(name: str) -> None:
    suite = parse_suite(name)
    for task in suite.tasks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_env(build(suite, task.id), skip_render_check=True)


def test_the_suite_has_the_sizes_of_its_largest_task() -> None:
    suite = parse_suite(MIXED)
    assert (suite.obs_dim, suite.action_dim, suite.action_dims) == (3, 2, (2, 1))
    assert suite.action_mask.tolist() == [[1, 1], [1, 0]]
    assert [task.horizon for task in suite.tasks] == [1000, 200]
    assert {task.horizon for task in parse_suite(MIXED, horizon=7).tasks} == {7}
    assert parse_suite(suite.name) == suite


def test_trajectories_are_those_of_gymnasium_padded_and_scaled() -> None:
    suite = parse_suite("gym:Pendulum-v1,StarsCorridor-v0,MountainCarContinuous-v0")
    assert (suite.obs_dim, suite.action_dim) == (3, 2)
    rng = np.random.default_rng(0)
    for task_id, own in ((0, 3), (2, 2)):
        env, theirs = build(suite, task_id), gymnasium.make(suite.tasks[task_id].name)
        obs, info = env.reset(options={"goal": 4})
        expected, _ = theirs.reset(seed=int(env.goals[4, 0]))
        for _ in range(30):
            np.testing.assert_array_equal(obs[:own], expected.astype(np.float32))
            assert not obs[own:].any()
            action = rng.uniform(-1, 1, 2).astype(np.float32)
            obs, reward, terminated, truncated, info = env.step(action)
            high = float(theirs.action_space.high[0])  # type: ignore[attr-defined]
            expected, *rest, _ = theirs.step(np.array([high * action[0]], np.float32))
            assert (reward, terminated, truncated) == pytest.approx(tuple(rest), abs=1e-6)
        assert info["goal"] == 4


def test_actions_reach_both_bounds() -> None:
    env = build(parse_suite(MIXED), 0)
    for action, scaled in (((-1, -1), (-2, 0)), ((1, 1), (4, 1)), ((0, 0), (1, 0.5)), ((5, -5), (4, 0))):
        env.reset()
        env.step(np.array(action, np.float32))
        np.testing.assert_allclose(env._env.unwrapped.last_action, scaled)  # type: ignore[attr-defined]


def test_terminal_states_successes_and_truncations_of_the_environment_itself() -> None:
    suite = parse_suite(MIXED)
    runner = EnvRunner(build(suite, 0), "StarsCorridor-v0", 0, chunk_steps=30, max_failed_episodes=0)
    while not runner.full:
        runner.step(np.array([1.0, 0.0], np.float32), weights_version=0)
    chunk, episodes = runner.take()
    assert len(episodes) > 8
    assert all(episode.success and episode.length == 3 for episode in episodes if episode.length != 2)
    assert chunk.terminated.sum() == len(episodes)
    assert (chunk.next_obs[chunk.terminated, 0] >= 10).all()
    left = EnvRunner(build(suite, 0), "StarsCorridor-v0", 0, chunk_steps=30, max_failed_episodes=0)
    while not left.full:
        left.step(np.array([-1.0, 0.0], np.float32), weights_version=0)
    chunk, episodes = left.take()
    assert len(episodes) >= 15 and not any(episode.success for episode in episodes)
    assert not chunk.terminated.any()  # truncated: the bootstrap goes on


def test_an_environment_without_a_flag_has_no_success() -> None:
    """Unknown in training; an evaluation counts none."""
    env = build(parse_suite(MIXED, horizon=5), 1)
    runner = EnvRunner(env, "Pendulum-v1", 1, chunk_steps=10, max_failed_episodes=0)
    while not runner.full:
        runner.step(np.zeros(2, np.float32), weights_version=0)
    assert [episode.success for episode in runner.take()[1]] == [None, None]
    successes, returns = run_episodes(lambda obs: np.zeros(2), env, 2)
    assert successes == 0 and len(returns) == 2


def test_goals_are_the_same_everywhere_and_training_starts_are_new() -> None:
    suite = parse_suite(CLASSIC)
    env, other = build(suite, 0, (0,)), build(suite, 0, (1,))
    starts = [env.reset(options={"goal": goal})[0] for goal in range(50)]
    np.testing.assert_array_equal(starts, [other.reset(options={"goal": goal})[0] for goal in range(50)])
    assert len({tuple(start) for start in starts}) == 50
    fresh = {tuple(env.reset()[0]) for _ in range(60)}
    assert len(fresh) == 60
    assert not fresh & {tuple(other.reset()[0]) for _ in range(60)}
    again = build(suite, 0, (1,))
    assert tuple(again.reset()[0]) == tuple(build(suite, 0, (1,)).reset()[0])


def test_an_evaluation_ends_at_a_terminal_state() -> None:
    env = build(parse_suite(MIXED), 0)
    successes, returns = run_episodes(lambda obs: np.array([1.0, 0.0]), env, 5)
    assert successes == 5
    assert set(returns) <= {2.0, 3.0}


@needs_robotics
def test_fetch_tasks_as_one_suite() -> None:
    suite = parse_suite(FETCH)
    assert (suite.obs_dim, suite.action_dim, suite.action_dims) == (31, 4, (4, 4))
    assert [task.horizon for task in suite.tasks] == [50, 50]
    reach = build(suite, 0)
    obs, _ = reach.reset(options={"goal": 0})
    assert not obs[16:].any()

    def towards_goal(obs: np.ndarray) -> np.ndarray:
        achieved, desired = obs[:3], obs[3:6]
        return np.append(10.0 * (desired - achieved), 0.0).clip(-1, 1).astype(np.float32)

    successes, returns = run_episodes(towards_goal, reach, 5)
    assert successes == 5  # a scripted hand reaches every goal
    assert min(returns) > -25.0
    hidden = build(suite, 1, partially_observable=True)
    shown = build(suite, 1)
    seen, blind = (env.reset(options={"goal": 3})[0] for env in (shown, hidden))
    assert seen[3:6].any() and not blind[3:6].any()
    np.testing.assert_array_equal(np.delete(seen, slice(3, 6)), np.delete(blind, slice(3, 6)))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("gym:Pendulum-v9", ["'Pendulum-v9'", "registered"]),
        ("gym:", ["''"]),
        ("gym:CartPole-v1", ["CartPole-v1", "real actions", "Discrete(2)"]),
        ("gym:FrozenLake-v1", ["FrozenLake-v1", "observe boxes"]),
        ("gym:Pendulum-v1,Pendulum-v1", ["'Pendulum-v1' twice"]),
        ("gym:Pendulum", ["got 'Pendulum' (it names no version; use Pendulum-v1)"]),
        ("gym:Pendulum-v0", ["Please use `Pendulum-v1`"]),
        ("gym:Pendulun-v1", ["did you mean 'Pendulum-v1'?"]),
        ("gym:StarsUnlicensed-v0", ["StarsUnlicensed-v0 raises RuntimeError: no licence to run"]),
        ("gym:StarsUnbounded-v0", ["bounds below 1e+10", "3.4e+38"]),
        ("gym:StarsNeedsExtra-v0", ["must have what its environment needs installed", "pip install it"]),
        ("gym:no_such_module:Corridor-v0", ["No module named 'no_such_module'"]),
    ],
)
def test_wrong_suites(text: str, parts: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        parse_suite(text)
    assert all(part in str(caught.value) for part in parts)
    assert "\n" not in str(caught.value)


def test_a_goal_that_is_not_there_cannot_be_hidden() -> None:
    with pytest.raises(ValueError, match="Pendulum-v1 observes none; set it to false"):
        build(parse_suite(CLASSIC), 0, partially_observable=True)


def test_a_suite_is_known_by_its_name_in_any_process(tmp_path: Path) -> None:
    assert parse_suite(" gym:Pendulum-v1 ,MountainCarContinuous-v0").name == CLASSIC


def test_an_environment_without_render_mode_is_made_without_its_noise(
    capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    suite = parse_suite("gym:StarsBare-v0")
    env = build(suite, 0)
    env.reset()
    assert capfd.readouterr() == ("", "") and not recwarn.list
    with pytest.raises(ValueError, match="StarsBare-v0 takes no render_mode; choose another to draw"):
        build_environment(suite, 0, 1, (), EnvironmentConfig(), render_mode="rgb_array")
