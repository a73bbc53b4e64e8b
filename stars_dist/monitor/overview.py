"""The overview of a run: few metrics that tell how it stands, whatever the number of tasks, and their layout.

What a clock decides stays in `perf/`: everything else of two serial runs of one seed is equal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from actors.evaluation_result import EvaluationResult, wilson_interval

WORST = 5
LAYOUT = {
    "overview: success": {
        "evaluations: mean, worst five, std across tasks": (
            "Multiline",
            ["overview/eval_success$", "overview/eval_success_worst_5$", "overview/eval_success_std$"],
        ),
        "evaluations: mean with its interval": (
            "Margin",
            ["overview/eval_success", "overview/eval_success_low", "overview/eval_success_high"],
        ),
        "rollouts: mean, worst five, std across tasks": (
            "Multiline",
            ["overview/success$", "overview/success_worst_5$", "overview/success_std$"],
        ),
        "tasks at zero": ("Multiline", ["overview/tasks_at_zero$"]),
        "returns": ("Multiline", ["overview/return$", "overview/eval_return$"]),
    },
    "overview: quotas": {
        "least and greatest share of a batch": ("Multiline", ["overview/quota_(least|most)$"]),
        "rows of every task": ("Multiline", ["sampling/quota/.*"]),
    },
    "overview: speed": {
        "updates per second": ("Multiline", ["perf/updates_per_s$"]),
        "environment steps per second": ("Multiline", ["perf/env_steps_per_s$"]),
        "who waits": ("Multiline", ["perf/actor/waiting$", "perf/learner_wait_frac$"]),
        "samples per insert": ("Multiline", ["perf/samples_per_insert$"]),
        "cores in use": ("Multiline", ["perf/busy_cores$"]),
    },
    "overview: losses": {
        "critics": ("Multiline", ["overview/critic_loss$"]),
        "actor": ("Multiline", ["overview/actor_loss$"]),
        "entropy": ("Multiline", ["overview/entropy$"]),
        "temperature": ("Multiline", ["overview/alpha$"]),
    },
    "overview: health": {
        "starved tasks": ("Multiline", ["health/starved_tasks$"]),
        "actors alive": ("Multiline", ["perf/actors_alive$"]),
        "policy lag": ("Multiline", ["perf/policy_lag_.*"]),
        "memory": ("Multiline", ["perf/memory_gib$"]),
        "unique features": ("Multiline", ["train/unique_(task_variance|within_share|gradient_share)$"]),
    },
    "every task": {
        "success in evaluations": ("Multiline", ["eval/success/.*"]),
        "success in rollouts": ("Multiline", ["rollout/success/.*"]),
        "return in rollouts": ("Multiline", ["rollout/return/.*"]),
        "temperature": ("Multiline", ["train/alpha/.*"]),
    },
}

_FROM_LEARNER = {
    "overview/critic_loss": "train/critic_loss",
    "overview/actor_loss": "train/actor_loss",
    "overview/entropy": "train/entropy",
}


def overview_of_rollouts(success: NDArray[np.float64], returns: NDArray[np.float64]) -> dict[str, float]:
    """Compute the overview from what tasks achieve in training, f64[T] each; nan is what is not known yet."""
    known, known_returns = success[np.isfinite(success)], returns[np.isfinite(returns)]
    values: dict[str, float] = {}
    if known.size:
        values["overview/success"] = float(known.mean())
        values["overview/success_worst_5"] = float(np.sort(known)[:WORST].mean())
        values["overview/success_std"] = float(known.std())
        values["overview/tasks_at_zero"] = float((known == 0).sum())
    if known_returns.size:
        values["overview/return"] = float(known_returns.mean())
    return values


def overview_of_learner(report: Mapping[str, float], task_names: Sequence[str]) -> dict[str, float]:
    """Compute the overview from a report of the learner, by the names of its metrics."""
    values = {name: report[source] for name, source in _FROM_LEARNER.items() if source in report}
    quota = np.array([report.get(f"sampling/quota/{name}", math.nan) for name in task_names])
    if np.isfinite(quota).all() and quota.sum() > 0:
        values["overview/quota_least"] = float(quota.min() / quota.sum())
        values["overview/quota_most"] = float(quota.max() / quota.sum())
    alpha = temperatures(report, task_names)
    if alpha.size:
        values["overview/alpha"] = float(np.exp(np.log(np.maximum(alpha, 1e-30)).mean()))
    return values


def temperatures(report: Mapping[str, float], task_names: Sequence[str]) -> NDArray[np.float64]:
    """Gather the temperatures of the tasks that a report tells of."""
    names = [f"train/alpha/{name}" for name in task_names]
    return np.array([report[name] for name in names if name in report], np.float64)


def overview_of_evaluation(result: EvaluationResult) -> dict[str, float]:
    """Compute the overview from an evaluation; the interval of its mean is over the episodes."""
    if not result.has_success_flag:
        return {"overview/eval_return": result.mean_return}
    low, high = mean_interval(result)
    return {
        "overview/eval_success": result.mean_success,
        "overview/eval_success_low": low,
        "overview/eval_success_high": high,
        "overview/eval_success_worst_5": result.worst_5_mean,
        "overview/eval_success_std": result.std_across_tasks,
        "overview/eval_return": result.mean_return,
    }


def mean_interval(result: EvaluationResult) -> tuple[float, float]:
    """Compute the 95 % Wilson interval of the mean over all episodes of all tasks together.

    It errs on the safe side: episodes that are shared out evenly over tasks of different rates have a mean that varies
    less than that of as many episodes of one rate.
    """
    episodes = sum(task.n for task in result.tasks)
    successes = sum(round(task.success_rate * task.n) for task in result.tasks)
    return wilson_interval(successes, episodes)
