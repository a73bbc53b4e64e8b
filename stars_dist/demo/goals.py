"""The demo's measurement: each goal of each task once, until it is solved or the episode is over."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np

from actors.blas_threads import single_threaded_children
from actors.environment import build_environment
from actors.evaluation_result import wilson_interval
from actors.goal_environment import GoalEnvironment
from actors.policy import NumpyPolicy
from stars_dist.video.shown_policy import ShownPolicy


class SolvedGoals(NamedTuple):
    """One task: the step at which each goal was solved, None for one that was not."""

    task: str
    solved_at: tuple[int | None, ...]

    @property
    def success_rate(self) -> float:
        """The share of the goals that were solved."""
        return self.num_solved / len(self.solved_at)

    @property
    def num_solved(self) -> int:
        """How many were."""
        return sum(step is not None for step in self.solved_at)

    @property
    def median_steps(self) -> float | None:
        """The median of the steps to a solved goal."""
        steps = [step for step in self.solved_at if step is not None]
        return float(np.median(steps)) if steps else None


def solve_all(
    policy: ShownPolicy, goals: int, num_processes: int, progress: Callable[[SolvedGoals], None]
) -> list[SolvedGoals]:
    """Solve the first goals of every task, the tasks shared among processes."""
    context = multiprocessing.get_context("spawn")
    tasks = range(len(policy.suite.tasks))
    with single_threaded_children(), ProcessPoolExecutor(num_processes, mp_context=context) as pool:
        futures = [pool.submit(solve_task, policy, task, goals) for task in tasks]
        for future in as_completed(futures):
            progress(future.result())
        return [future.result() for future in futures]


def solve_task(policy: ShownPolicy, task_id: int, goals: int) -> SolvedGoals:
    """Solve the first goals of one task by the mode action."""
    act = NumpyPolicy(policy.weights, (task_id,), policy.suite.obs_dim)
    env = build_environment(policy.suite, task_id, policy.seed, (), policy.environment)
    try:
        solved = tuple(_solve(act, env, goal) for goal in range(goals))
    finally:
        env.close()
    return SolvedGoals(policy.suite.tasks[task_id].name, solved)


def _solve(act: NumpyPolicy, env: GoalEnvironment, goal: int) -> int | None:
    obs, _ = env.reset(options={"goal": goal})
    for step in range(1, env.horizon + 1):
        obs, _, _, _, info = env.step(act.act(obs[None])[0])
        if info.get("success", 0.0) > 0:
            return step
    return None


def goals_table(results: Sequence[SolvedGoals]) -> str:
    """Format the results with their 95 % intervals."""
    lines = [f"{'task':28}  solved  of   95 % interval   steps to success, median"]
    for result in results:
        n = len(result.solved_at)
        low, high = wilson_interval(result.num_solved, n)
        median = "-" if result.median_steps is None else f"{result.median_steps:.0f}"
        lines.append(
            f"{result.task:28}  {result.num_solved:6d}  {n:2d}   {low:.2f} to {high:.2f}    {median:>6}"
        )
    mean = float(np.mean([result.success_rate for result in results]))
    return "\n".join([*lines, f"{'mean of the tasks':28}  {mean:6.2f}"])
