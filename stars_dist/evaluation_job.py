"""An evaluation under way on the Ray cluster: all tasks with one version of the weights, a few at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ray

from actors.evaluation_result import EvaluationResult, TaskEvaluation
from actors.evaluator import evaluate_task
from actors.policy import NumpyPolicy, PolicyWeights
from stars_dist.config import RunConfig


class EvaluationJob:
    """Hands out one Ray call a task, at most `num_processes` at a time; a call whose process dies is made again."""

    def __init__(
        self,
        config: RunConfig,
        weights: PolicyWeights,
        env_steps: int,
        episodes: int,
        num_processes: int,
        goals_path: Path,
    ) -> None:
        self._suite = config.load_suite()
        self._weights = weights
        self.env_steps = env_steps
        self._episodes = episodes
        self._num_processes = num_processes
        self._rest = (episodes, config.seed, config.environment, goals_path)
        self._call: Any = ray.remote(evaluate_task).options(num_cpus=0, max_retries=3)
        self._waiting = [task.id for task in reversed(self._suite.tasks)]
        self._under_way: list[Any] = []
        self._results: list[TaskEvaluation] = []

    @property
    def is_done(self) -> bool:
        return len(self._results) == len(self._suite.tasks)

    @property
    def progress(self) -> str:
        return f"{len(self._results)}/{len(self._suite.tasks)} tasks"

    def advance(self, timeout_s: float = 0.0) -> None:
        """Starts what there is room for and takes what is done; waits up to `timeout_s` for the next result."""
        while self._waiting and len(self._under_way) < self._num_processes:
            task_id = self._waiting.pop()
            policy = NumpyPolicy(self._weights, [task_id], self._suite.obs_dim)
            self._under_way.append(self._call.remote(policy, self._suite, task_id, *self._rest))
        if self._under_way:
            done, self._under_way = ray.wait(self._under_way, timeout=timeout_s)
            self._results += ray.get(done)

    def cancel(self) -> None:
        for reference in self._under_way:
            ray.cancel(reference, force=True)
        self._under_way.clear()

    def result(self, checkpoint: str) -> EvaluationResult:
        """All tasks in the suite's order."""
        assert self.is_done
        by_name = {task.name: task for task in self._results}
        tasks = tuple(by_name[name] for name in self._suite.task_names)
        steps = self._weights.version
        return EvaluationResult(self._suite.name, checkpoint, self.env_steps, steps, self._episodes, tasks)
