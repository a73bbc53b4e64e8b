"""The evaluation protocol: mode action, one goal per episode, success at any step, full horizon."""

from __future__ import annotations

import logging
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
from actors.env_runner import check_finite
from actors.environment import build_environment
from actors.evaluation_result import EpisodeResult, TaskEvaluation
from actors.goal_environment import GoalEnvironment
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from actors.suites import prepare_suite
from actors.tasks import Suite

logger = logging.getLogger(__name__)

Act = Callable[[NDArray[np.float32]], NDArray[Any]]
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
    """Evaluate a policy that was made for this task alone; failed episodes are logged."""

    def act(obs: NDArray[np.float32]) -> NDArray[Any]:
        return policy.act(obs[None])[0]

    name = suite.tasks[task_id].name
    env = build_environment(suite, task_id, seed, (), environment, goals_path)
    try:
        results = [run_episode(act, env, number) for number in range(episodes)]
    finally:
        env.close()
    for number, result in enumerate(results):
        if result.failure is not None:
            logger.warning("episode %d of %s failed: %s", number, name, result.failure)
    return TaskEvaluation.of(name, results)


def run_episode(act: Act, env: GoalEnvironment, number: int) -> EpisodeResult:
    """Run episode `number`, with the goal of that number; successful if it was at any step.

    It goes on after its success, so that the returns of all have the same number of steps. An environment that raises
    or gives NaN ends it as failed; one without a success flag never succeeds. One that hangs hangs its caller: only
    another process can end it.
    """
    return_: float = 0.0
    success: bool | None = None  # until the environment gives a flag
    try:
        obs, _ = env.reset(options={"goal": number % len(env.goals)})
        terminated = truncated = False
        while not (terminated or truncated):
            obs, reward, terminated, truncated, info = env.step(act(obs))
            check_finite(obs, reward)
            return_ += reward
            if (flag := info.get("success")) is not None:
                success = bool(success) or flag > 0.0
    except Exception as error:  # whatever a simulation raises, the evaluation goes on
        return EpisodeResult(False, return_, f"{type(error).__name__}: {error}".splitlines()[0])
    return EpisodeResult(success, return_)


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
