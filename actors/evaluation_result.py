"""The result of evaluating one checkpoint on all tasks, and its statistics."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean  # exact, so that the order of the tasks says nothing
from typing import Any, NamedTuple

import numpy as np


class EpisodeResult(NamedTuple):
    """One episode of an evaluation."""

    success: bool | None  # None: the environment has no success flag
    return_: float
    failure: str | None = None  # why it did not end as it should; a failed episode is no success


class TaskEvaluation(NamedTuple):
    """One task over n episodes."""

    name: str
    success_rate: float  # of all n; a failed episode counts as no success
    n: int
    ci95: tuple[float, float]  # Wilson interval of the success rate
    mean_return: float  # of the episodes that did not fail; 0 without any
    failed: int = (
        0  # episodes in which the environment raised, gave NaN or hung, and those that were given up
    )
    has_success_flag: bool = True  # whether the environment says what success is; without, only returns count

    @classmethod
    def of(cls, name: str, episodes: Sequence[EpisodeResult]) -> TaskEvaluation:
        """Sum up a task's episodes."""
        successes, n = sum(episode.success is True for episode in episodes), len(episodes)
        returns = [episode.return_ for episode in episodes if episode.failure is None]
        mean_return = float(np.mean(returns)) if returns else 0.0
        told = [episode.success is not None for episode in episodes if episode.failure is None]
        has_flag = any(told) or not told
        interval = wilson_interval(successes, n)
        return cls(name, successes / n, n, interval, mean_return, n - len(returns), has_flag)


class EvaluationResult(NamedTuple):
    """All tasks of a suite at one checkpoint."""

    suite: str
    checkpoint: str
    env_steps: int
    learner_steps: int
    episodes_per_task: int
    tasks: tuple[TaskEvaluation, ...]

    @property
    def mean_success(self) -> float:
        """Mean of the tasks' success rates."""
        return fmean(self._success_rates)

    @property
    def mean_return(self) -> float:
        """Mean of the tasks' mean returns."""
        return float(np.mean([task.mean_return for task in self.tasks]))

    @property
    def has_success_flag(self) -> bool:
        """Whether any task says what success is; otherwise the return is what counts."""
        return any(task.has_success_flag for task in self.tasks)

    @property
    def std_across_tasks(self) -> float:
        """Population standard deviation of the tasks' success rates."""
        return float(np.std(self._success_rates))

    @property
    def worst_5_mean(self) -> float:
        """Mean success of the five worst tasks, or of all where there are fewer."""
        return fmean(sorted(self._success_rates)[:5])

    @property
    def failed_episodes(self) -> int:
        """Episodes of all tasks that failed."""
        return sum(task.failed for task in self.tasks)

    @property
    def _success_rates(self) -> list[float]:
        return [task.success_rate for task in self.tasks]

    def to_json(self) -> dict[str, Any]:
        """Return plain data with the keys that `stars-dist evaluate --json` prints."""
        return {
            "suite": self.suite,
            "checkpoint": self.checkpoint,
            "env_steps": self.env_steps,
            "learner_steps": self.learner_steps,
            "episodes_per_task": self.episodes_per_task,
            "mean_success": self.mean_success,
            "std_across_tasks": self.std_across_tasks,
            "worst_5_mean": self.worst_5_mean,
            "tasks": [_task_json(task) for task in self.tasks],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EvaluationResult:
        """Read what `to_json` gave; the statistics are computed anew."""
        tasks = tuple(TaskEvaluation(**{**task, "ci95": tuple(task["ci95"])}) for task in data["tasks"])
        fields = {key: data[key] for key in cls._fields if key != "tasks"}
        return cls(**fields, tasks=tasks)


def _task_json(task: TaskEvaluation) -> dict[str, Any]:
    """Return plain data; only a task without a success flag says so."""
    data = {**task._asdict(), "ci95": list(task.ci95)}
    if task.has_success_flag:
        del data["has_success_flag"]
    return data


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Compute the 95 % Wilson score interval of a success rate."""
    from scipy.stats import binomtest  # takes 0.5 s to import; an actor never needs it

    interval = binomtest(successes, n).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)
