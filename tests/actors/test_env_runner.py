"""A runner survives an environment that fails, up to a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actors.env_runner import EnvironmentFailureError, EnvRunner
from actors.families.toy import ToyEnvironment
from actors.goal_environment import GoalEnvironment

ACTION = np.zeros(1, np.float32)


class FailingEnvironment(GoalEnvironment):
    """Observes the number of the step, counted over all episodes; fails or succeeds in the steps that `events` has."""

    def __init__(self, horizon: int, events: dict[int, str] | None = None, failing_resets: int = 0) -> None:
        super().__init__(np.zeros((1, 1)), horizon, obs_dim=1, action_dim=1)
        self.events = events or {}
        self.failing_resets = failing_resets
        self.step_count = 0

    def _start(self, goal: np.ndarray) -> np.ndarray:
        if self.failing_resets > 0:
            self.failing_resets -= 1
            raise RuntimeError("no reset")
        return np.array([-1.0], np.float32)

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, float, dict[str, Any]]:
        self.step_count += 1
        kind = self.events.get(self.step_count, "")
        if kind == "raises":
            raise RuntimeError("simulation unstable")
        odd = {"nan obs": np.nan, "-inf obs": -np.inf}
        obs = np.array([odd.get(kind, self.step_count)], np.float32)
        reward = float("inf") if kind == "inf reward" else 1.0
        return obs, reward, {} if kind == "no flag" else {"success": float(kind == "success")}


def runner_of(env: GoalEnvironment, chunk_steps: int = 6, max_failed_episodes: int = 1) -> EnvRunner:
    return EnvRunner(env, "failing-v3", 3, chunk_steps, max_failed_episodes)


def fill(runner: EnvRunner) -> int:
    """Step until the chunk is full; return how many steps it took."""
    steps = 0
    while not runner.full:
        runner.step(ACTION, weights_version=5)
        steps += 1
    return steps


def test_episodes_and_final_observations() -> None:
    runner = runner_of(FailingEnvironment(horizon=4, events={3: "success"}))
    fill(runner)
    transitions, episodes = runner.take()
    assert transitions.obs[:, 0].tolist() == [-1, 1, 2, 3, -1, 5]
    assert transitions.next_obs[:, 0].tolist() == [1, 2, 3, 4, 5, 6]  # 4 is the final observation
    assert not transitions.terminated.any()
    assert transitions.task_id.tolist() == [3] * 6
    assert [tuple(episode) for episode in episodes] == [(3, 4.0, 4, True, 5)]
    fill(runner)
    assert [episode.success for episode in runner.take()[1]] == [False, False]  # success is not carried over
    assert (runner.env_steps, runner.ended_episodes) == (12, 3)


def test_success_is_unknown_where_no_step_has_a_flag() -> None:
    """One episode without any flag, one with a flag of false, one with a success before the flag is gone."""
    events = dict.fromkeys((1, 2, 3, 6), "no flag") | {4: "", 5: "success"}
    runner = runner_of(FailingEnvironment(horizon=2, events=events))
    fill(runner)
    assert [episode.success for episode in runner.take()[1]] == [None, False, True]


def test_a_taken_chunk_is_not_overwritten() -> None:
    runner = runner_of(FailingEnvironment(horizon=100))
    fill(runner)
    first, _ = runner.take()
    kept = first.obs.copy()
    fill(runner)
    np.testing.assert_array_equal(first.obs, kept)


@pytest.mark.parametrize("kind", ["raises", "nan obs", "-inf obs", "inf reward"])
def test_a_failed_episode_keeps_what_came_before(kind: str) -> None:
    runner = runner_of(FailingEnvironment(horizon=4, events={3: kind}))
    assert fill(runner) == 7
    transitions, episodes = runner.take()
    assert transitions.obs[:, 0].tolist() == [-1, 1, -1, 4, 5, 6]
    assert transitions.next_obs[:, 0].tolist() == [1, 2, 4, 5, 6, 7]
    assert [episode.length for episode in episodes] == [4]
    assert [episode.return_ for episode in episodes] == [4.0]
    assert runner.failed_episodes == 1


def test_failures_with_whole_episodes_between_them_are_tolerated() -> None:
    failures = dict.fromkeys([3, 10, 17], "raises")
    runner = runner_of(FailingEnvironment(horizon=4, events=failures), chunk_steps=18)
    fill(runner)
    assert runner.failed_episodes == 3


def test_failures_in_a_row_end_the_actor_with_task_and_cause() -> None:
    runner = runner_of(FailingEnvironment(horizon=4, events={3: "raises", 6: "raises"}))
    with pytest.raises(EnvironmentFailureError, match=r"at most 1 .* failing-v3 .* 2; .*simulation unstable"):
        fill(runner)


def test_resets_that_fail_count_too() -> None:
    assert runner_of(FailingEnvironment(horizon=4, failing_resets=1)).failed_episodes == 1
    with pytest.raises(EnvironmentFailureError, match="no reset"):
        runner_of(FailingEnvironment(horizon=4, failing_resets=2))


def between_chunks(env: GoalEnvironment, chunks: int) -> EnvRunner:
    runner = runner_of(env, chunk_steps=7)
    for _ in range(chunks):
        fill(runner)
        runner.take()
    return runner


def test_an_episode_in_progress_is_repeated_from_a_state() -> None:
    """Seven steps into the second episode; the goal and the noise are those of the original."""

    def noisy(seed: int) -> ToyEnvironment:
        env = ToyEnvironment(1, seed=1, num_goals=50, horizon=20)
        env.observation_noise = env.reward_noise = 0.1
        env.np_random = np.random.default_rng(seed)
        return env

    original = EnvRunner(noisy(3), "toy-1", 1, 9, 1)
    actions = np.random.default_rng(5).uniform(-1, 1, (36, 2)).astype(np.float32)
    for action in actions[:27]:
        original.step(action, 0)
        if original.full:
            original.take()
    other = EnvRunner(noisy(4), "toy-1", 1, 9, 1)
    other.load_state_dict(original.state_dict())
    for action in actions[27:]:
        original.step(action, 0)
        other.step(action, 0)
    for one, same in zip(original.take()[0], other.take()[0], strict=True):
        np.testing.assert_array_equal(one, same)
    assert (other.env_steps, other.ended_episodes) == (36, 1)


def test_an_episode_that_cannot_be_repeated_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    """The environment counts its steps over all episodes, so that no episode is like another."""
    original = between_chunks(FailingEnvironment(horizon=10), chunks=2)
    assert original.obs[0] == 14
    other = between_chunks(FailingEnvironment(horizon=10), chunks=3)
    other.load_state_dict(original.state_dict())
    assert "failing-v3 in progress cannot be repeated" in caplog.text
    assert other.obs[0] == -1.0
    assert (other.env_steps, other.ended_episodes) == (14, 1)
    fill(other)
    assert [episode.length for episode in other.take()[1]] == []
