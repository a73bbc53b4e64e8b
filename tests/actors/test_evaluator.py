"""Evaluation: the protocol, its statistics against references, and its JSON."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pytest

from actors.config import EnvironmentConfig
from actors.environment import make_environment
from actors.evaluation_result import EpisodeResult, EvaluationResult, TaskEvaluation, wilson_interval
from actors.evaluator import evaluate_suite, run_episode
from actors.goal_environment import GoalEnvironment
from actors.policy import NumpyPolicy
from actors.suites import parse_suite
from tests.actors.conftest import MakeWeights, run_episodes


class SuccessInOneStep(GoalEnvironment):
    """Goal i succeeds in step i alone and never if i is past the horizon; each step is worth i."""

    def __init__(self) -> None:
        super().__init__(np.arange(1.0, 9.0)[:, None], horizon=6, obs_dim=1, action_dim=1)

    def _start(self, goal: np.ndarray) -> np.ndarray:
        self.number, self.count = goal[0], 0
        return goal.astype(np.float32)

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, float, dict[str, Any]]:
        self.count += 1
        return np.zeros(1, np.float32), self.number, {"success": float(self.count == self.number)}


def test_each_goal_once_success_at_any_step_full_horizon() -> None:
    successes, returns = run_episodes(lambda obs: np.zeros(1), SuccessInOneStep(), 8)
    assert successes == 6  # goals 1 to 6
    assert returns == [6.0 * goal for goal in range(1, 9)]
    successes, returns = run_episodes(lambda obs: np.zeros(1), SuccessInOneStep(), 10)
    assert returns[8:] == returns[:2]  # more episodes than goals begin again


class FailsInSomeEpisodes(SuccessInOneStep):
    """Goal 2 raises in its reset, goal 3 in its third step, goal 4 gives NaN; each number stands for its goal."""

    def _start(self, goal: np.ndarray) -> np.ndarray:
        if goal[0] == 2:
            raise RuntimeError("the simulation does not start")
        return super()._start(goal)

    def _advance(self, action: np.ndarray) -> tuple[np.ndarray, float, dict[str, Any]]:
        obs, reward, info = super()._advance(action)
        if self.number == 3 and self.count == 3:
            raise RuntimeError("the simulation blew up\nin several lines")
        return obs, float("nan") if self.number == 4 else reward, info


def test_an_episode_that_raises_or_gives_nan_is_counted_as_failed_and_as_no_success() -> None:
    env = FailsInSomeEpisodes()
    episodes = [run_episode(lambda obs: np.zeros(1), env, number) for number in range(8)]
    assert [episode.failure is None for episode in episodes] == [
        True,
        False,
        False,
        False,
        True,
        True,
        True,
        True,
    ]
    assert episodes[1].failure == "RuntimeError: the simulation does not start"
    assert episodes[2].failure == "RuntimeError: the simulation blew up"
    task = TaskEvaluation.of("toy", episodes)
    assert (task.n, task.failed, task.success_rate) == (8, 3, 3 / 8)  # goals 1, 5 and 6
    assert task.mean_return == pytest.approx(6.0 * (1 + 5 + 6 + 7 + 8) / 5)


def test_a_task_of_which_every_episode_fails_has_a_result() -> None:
    task = TaskEvaluation.of("toy", [EpisodeResult(False, 0.0, "hangs")] * 3)
    assert (task.success_rate, task.failed, task.mean_return) == (0.0, 3, 0.0)


def test_results_of_before_the_count_of_failures_are_read() -> None:
    data = result_of(0.2, 0.6).to_json()
    for task in data["tasks"]:
        del task["failed"]
    assert EvaluationResult.from_json(data) == result_of(0.2, 0.6)


@pytest.mark.parametrize(("successes", "n"), [(0, 50), (1, 50), (25, 50), (50, 50), (3, 10), (1, 1)])
def test_wilson_interval_is_the_textbook_formula(successes: int, n: int) -> None:
    z, p = 1.959963984540054, successes / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert wilson_interval(successes, n) == pytest.approx((middle - half, middle + half), abs=1e-9)


def result_of(*rates: float) -> EvaluationResult:
    tasks = tuple(
        TaskEvaluation(f"task-{i}", rate, 50, (0.0, 1.0), 100.0 * i) for i, rate in enumerate(rates)
    )
    return EvaluationResult("mt10", "runs/a/checkpoints/step-40", 400, 40, 50, tasks)


@pytest.mark.parametrize(
    ("rates", "mean", "std", "worst"),
    [
        ((0.5,), 0.5, 0.0, 0.5),
        ((1.0, 0.0), 0.5, 0.5, 0.5),
        ((0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 1.0), 4.0 / 7.0, np.std([0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 1.0]), 0.42),
    ],
)
def test_statistics(rates: tuple[float, ...], mean: float, std: float, worst: float) -> None:
    result = result_of(*rates)
    assert (result.mean_success, result.std_across_tasks, result.worst_5_mean) == pytest.approx(
        (mean, std, worst)
    )


def test_the_mean_of_few_tasks_is_that_of_their_worst_five_to_the_last_bit() -> None:
    """Else a row says 0.48 and "worst 5 0.47" of the same four tasks."""
    result = result_of(0.6, 0.9, 0.3, 0.1)
    assert result.mean_success == result.worst_5_mean


def test_json_has_exactly_the_promised_keys() -> None:
    data = result_of(0.2, 0.6).to_json()
    assert list(data) == [
        "suite", "checkpoint", "env_steps", "learner_steps", "episodes_per_task",
        "mean_success", "std_across_tasks", "worst_5_mean", "tasks",
    ]  # fmt: skip
    assert list(data["tasks"][0]) == ["name", "success_rate", "n", "ci95", "mean_return", "failed"]
    again = EvaluationResult.from_json(json.loads(json.dumps(data)))
    assert again == result_of(0.2, 0.6)
    assert again.to_json() == data


def test_processes_give_what_one_process_gives(make_weights: MakeWeights) -> None:
    suite, weights, config = parse_suite("toy:3"), make_weights(num_tasks=3), EnvironmentConfig(num_goals=5)
    before = dict(os.environ)
    evaluated: list[str] = []
    results = [
        evaluate_suite(
            weights,
            suite,
            episodes=5,
            seed=1,
            environment=config,
            num_processes=num_processes,
            progress=lambda task: evaluated.append(task.name),
        )
        for num_processes in (1, 2)
    ]
    assert results[0] == results[1]
    assert [task.name for task in results[0]] == list(suite.task_names)
    assert sorted(evaluated) == sorted(2 * suite.task_names)
    assert dict(os.environ) == before


def test_the_mode_is_evaluated_on_the_runs_goals(make_weights: MakeWeights) -> None:
    suite, weights = parse_suite("toy:2"), make_weights(num_tasks=2)
    (_, second) = evaluate_suite(weights, suite, episodes=4, seed=6, environment=EnvironmentConfig())
    policy = NumpyPolicy(weights, [1], 6)
    env = make_environment("toy-1", "toy:2", seed=6)
    returns = []
    for goal in range(4):
        obs, _ = env.reset(options={"goal": goal})
        total = 0.0
        for _ in range(50):
            obs, reward, *_ = env.step(policy.act(obs[None])[0])
            total += reward
        returns.append(total)
    assert second.mean_return == pytest.approx(np.mean(returns))
    assert second.n == 4


def test_a_meta_world_task(make_weights: MakeWeights) -> None:
    suite = parse_suite("reach-v3", horizon=10)
    weights = make_weights(num_tasks=1, obs_dim=39, action_dim=4)
    (task,) = evaluate_suite(weights, suite, episodes=2, seed=1, environment=EnvironmentConfig(horizon=10))
    assert (task.name, task.n) == ("reach-v3", 2)
    assert 0.0 < task.mean_return <= 100.0
