"""Evaluations on a Ray cluster: beside the training at every period, and at the end of a run."""

from __future__ import annotations

import threading
from typing import Any

import ray

from actors.evaluation_result import EvaluationResult, TaskEvaluation
from actors.evaluator import evaluate_task
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights, find_policy_file, read_policy
from stars_dist.cluster.cluster import Cluster
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor.console import Console
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.run_files.directory import RunDirectory
from stars_dist.schedule import evaluation_period


class Evaluation:
    """All tasks with one version of the weights: one Ray call per task, at most `num_processes` in flight.

    A call whose process dies is made again.
    """

    def __init__(
        self,
        run: RunDirectory,
        plan: RunPlan,
        weights: PolicyWeights,
        env_steps: int,
        episodes: int,
        num_processes: int,
    ) -> None:
        self._plan, self._weights, self._episodes = plan, weights, episodes
        self.env_steps = env_steps
        self._num_processes = num_processes
        self._rest = (episodes, plan.config.seed, plan.config.environment, run.goals_file.resolve())
        self._call: Any = ray.remote(evaluate_task).options(num_cpus=0, max_retries=3)
        self._waiting = [task.id for task in reversed(plan.suite.tasks)]
        self._in_flight: list[Any] = []
        self._results: list[TaskEvaluation] = []

    @property
    def is_done(self) -> bool:
        """Whether every task has its result."""
        return len(self._results) == self._plan.num_tasks

    @property
    def progress(self) -> str:
        """How many tasks have their result, for a person."""
        return f"{len(self._results)}/{self._plan.num_tasks} tasks"

    def advance(self, timeout_s: float = 0.0) -> None:
        """Start what there is room for and take what is done; wait up to `timeout_s` for the next result."""
        suite = self._plan.suite
        while self._waiting and len(self._in_flight) < self._num_processes:
            task_id = self._waiting.pop()
            policy = NumpyPolicy(self._weights, [task_id], suite.obs_dim)
            self._in_flight.append(self._call.remote(policy, suite, task_id, *self._rest))
        if self._in_flight:
            done, self._in_flight = ray.wait(self._in_flight, timeout=timeout_s)
            self._results += ray.get(done)

    def cancel(self) -> None:
        """End the calls in flight."""
        for reference in self._in_flight:
            ray.cancel(reference, force=True)
        self._in_flight.clear()

    def result(self, checkpoint: str) -> EvaluationResult:
        """Put the tasks' results in the suite's order."""
        assert self.is_done
        by_name = {task.name: task for task in self._results}
        tasks = tuple(by_name[name] for name in self._plan.suite.task_names)
        steps = self._weights.version
        return EvaluationResult(
            self._plan.suite.name, checkpoint, self.env_steps, steps, self._episodes, tasks
        )


class PeriodicEvaluation:
    """Evaluates the newest published weights every so many environment steps, beside the training.

    One evaluation at a time: a period that passes while one is in progress is left out.
    """

    def __init__(
        self, run: RunDirectory, plan: RunPlan, cluster: Cluster, monitor: RunMonitor, env_steps: int
    ) -> None:
        self._run, self._plan, self._cluster, self._monitor = run, plan, cluster, monitor
        self._period = evaluation_period(plan, env_steps)
        self._evaluation: Evaluation | None = None

    def advance(self) -> None:
        """Start an evaluation that is due and take the results of one in progress."""
        if self._evaluation is None:
            self._start_if_due()
        else:
            self._evaluation.advance()
            if self._evaluation.is_done:
                self._monitor.record_evaluation(self._evaluation.result(str(self._run.path)))
                self._evaluation = None

    def cancel(self) -> None:
        """Give up an evaluation in progress."""
        if self._evaluation is not None:
            self._evaluation.cancel()
            self._evaluation = None

    def _start_if_due(self) -> None:
        env_steps = self._monitor.env_steps
        if self._monitor.learner_steps == 0 or not self._period.is_due(env_steps):
            return
        weights = self._cluster.newest_weights()
        if weights is not None:
            config = self._plan.config.evaluation
            self._evaluation = Evaluation(
                self._run, self._plan, weights, env_steps, config.episodes_per_task, config.num_processes
            )


def evaluate_at_end(
    run: RunDirectory,
    plan: RunPlan,
    env_steps: int,
    num_processes: int,
    console: Console,
    interrupted: threading.Event,
) -> EvaluationResult | None:
    """Evaluate the newest checkpoint; return None if interrupted."""
    # Not the weights that the learner published: they may have gone with its process.
    weights, _ = read_policy(find_policy_file(run.path))
    episodes = plan.config.evaluation.final_episodes_per_task
    evaluation = Evaluation(run, plan, weights, env_steps, episodes, num_processes)
    console.phase(f"evaluating: {episodes} episodes for each of {plan.num_tasks} tasks")
    while not evaluation.is_done:
        if interrupted.is_set():
            evaluation.cancel()
            return None
        evaluation.advance(timeout_s=0.5)
        console.progress(f"evaluating: {evaluation.progress} done, {episodes} episodes each")
    return evaluation.result(str(run.checkpoint(weights.version)))
