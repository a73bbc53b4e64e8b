"""The evaluation protocol: mode action, one goal per episode, success at any step, full horizon."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.blas_threads import single_threaded_children
from actors.config import EnvironmentConfig
from actors.environment import build_environment
from actors.evaluation_result import TaskEvaluation, wilson_interval
from actors.goal_environment import GoalEnvironment
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from actors.suites import prepare_suite
from actors.tasks import Suite

Progress = Callable[[TaskEvaluation], None]  # is given each task's evaluation as it is done


def evaluate_suite(
    weights: PolicyWeights,
    suite: Suite,
    *,
    episodes: int,
    seed: int,
    environment: EnvironmentConfig,
    num_processes: int = 1,
    goals_path: Path | None = None,
    progress: Progress = lambda _: None,
) -> tuple[TaskEvaluation, ...]:
    """Evaluate every task of the suite; return the evaluations in its order.

    They do not depend on the number of processes; with one, all is done in the calling process.
    """
    policies = [NumpyPolicy(weights, (task.id,), suite.obs_dim) for task in suite.tasks]
    with tempfile.TemporaryDirectory() as directory:
        path = goals_path or Path(directory) / "goals.npz"
        prepare_suite(suite, seed, path)
        calls = [(policy, suite, i, episodes, seed, environment, path) for i, policy in enumerate(policies)]
        run = _evaluate_here if num_processes == 1 else _evaluate_in_processes
        return run(calls, num_processes, progress)


def evaluate_task(
    policy: NumpyPolicy,
    suite: Suite,
    task_id: int,
    episodes: int,
    seed: int,
    environment: EnvironmentConfig,
    goals_path: Path | None = None,
) -> TaskEvaluation:
    """Evaluate a policy that was made for this task alone."""
    env = build_environment(suite, task_id, seed, (), environment, goals_path)
    try:
        successes, returns = run_episodes(lambda obs: policy.act(obs[None])[0], env, episodes)
    finally:
        env.close()
    return TaskEvaluation(
        name=suite.tasks[task_id].name,
        success_rate=successes / episodes,
        n=episodes,
        ci95=wilson_interval(successes, episodes),
        mean_return=float(np.mean(returns)),
    )


def run_episodes(
    act: Callable[[NDArray[np.float32]], NDArray[Any]], env: GoalEnvironment, episodes: int
) -> tuple[int, list[float]]:
    """Run episodes, episode i with goal i; return how many succeeded at any step, and the return of each.

    An episode goes on after its success, so that the returns of all have the same number of steps. An environment
    without a success flag never succeeds.
    """
    successes, returns = 0, []
    for episode in range(episodes):
        obs, _ = env.reset(options={"goal": episode % len(env.goals)})
        return_, success, terminated, truncated = 0.0, False, False, False
        while not (terminated or truncated):
            obs, reward, terminated, truncated, info = env.step(act(obs))
            return_ += reward
            success = success or info.get("success", 0.0) > 0.0
        successes += success
        returns.append(return_)
    return successes, returns


def _evaluate_here(
    calls: Sequence[tuple[Any, ...]], num_processes: int, progress: Progress
) -> tuple[TaskEvaluation, ...]:
    results = []
    for call in calls:
        results.append(evaluate_task(*call))
        progress(results[-1])
    return tuple(results)


def _evaluate_in_processes(
    calls: Sequence[tuple[Any, ...]], num_processes: int, progress: Progress
) -> tuple[TaskEvaluation, ...]:
    context = multiprocessing.get_context("spawn")
    with (
        single_threaded_children(),
        ProcessPoolExecutor(min(num_processes, len(calls)), mp_context=context) as pool,
    ):
        futures = [pool.submit(evaluate_task, *call) for call in calls]
        for future in as_completed(futures):
            progress(future.result())
        return tuple(future.result() for future in futures)
