"""Metrics from the shards' counters: what the tasks achieve in rollouts and how the replay service is doing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from replay_service.types import ShardStats

Values = dict[str, float]


def env_steps(stats: Sequence[ShardStats]) -> int:
    """Count environment steps: transitions ever stored, over all shards."""
    return int(sum(shard.inserted.sum() for shard in stats))


def tasks_with_data(stats: Sequence[ShardStats]) -> int:
    """Count the tasks that have a first transition."""
    return int(sum((shard.inserted > 0).sum() for shard in stats))


def mean_success(stats: Sequence[ShardStats]) -> float:
    """Average the success in the newest training episodes over the tasks; nan where no episode has a flag."""
    return _mean(np.concatenate([shard.success_rate for shard in stats]))


def success_by_task(stats: Sequence[ShardStats]) -> NDArray[np.float64]:
    """Gather the success over the newest training episodes of each task, f64[T]; nan where none has a flag."""
    return _by_task(stats, "success_rate")


def return_by_task(stats: Sequence[ShardStats]) -> NDArray[np.float64]:
    """Gather the mean return over the same episodes, f64[T]; nan before the first."""
    return _by_task(stats, "mean_return")


def _by_task(stats: Sequence[ShardStats], column: str) -> NDArray[np.float64]:
    values = np.full(1 + max(int(shard.task_id.max()) for shard in stats), np.nan)
    for shard in stats:
        values[shard.task_id] = getattr(shard, column)
    return values


def policy_lag(stats: Sequence[ShardStats]) -> tuple[float, float]:
    """Average and bound the learner steps that the policy behind the latest chunks was behind; 0 before the first."""
    mean = _mean(np.array([shard.policy_lag_mean for shard in stats]), empty=0.0)
    return mean, float(max(shard.policy_lag_max for shard in stats))


def replay_metrics(stats: Sequence[ShardStats], task_names: Sequence[str]) -> Values:
    """Compute values by their metric names; what a task does not have yet (an episode, a draw) is nan or absent."""
    values: Values = {
        "perf/policy_lag_mean": policy_lag(stats)[0],
        "perf/policy_lag_max": policy_lag(stats)[1],
        "replay/stale_updates": float(sum(shard.stale_updates for shard in stats)),
        "replay/duplicate_chunks": float(sum(shard.duplicate_chunks for shard in stats)),
    }
    for name in ("size", "inserted", "sampled", "priority_mass"):
        values[f"replay/{name}"] = float(sum(getattr(shard, name).sum() for shard in stats))
    values["replay/sampled_age"] = _mean(np.concatenate([shard.sampled_age for shard in stats]))
    for shard in stats:
        for row, task_id in enumerate(shard.task_id):
            values |= _task_values(shard, row, task_names[int(task_id)])
    return values


def _task_values(shard: ShardStats, row: int, name: str) -> Values:
    values: Values = {
        f"replay/{column}/{name}": float(getattr(shard, column)[row])
        for column in ("size", "inserted", "sampled", "priority_mass", "sampled_age")
    }
    if shard.episodes[row]:
        if np.isfinite(shard.success_rate[row]):
            values[f"rollout/success/{name}"] = float(shard.success_rate[row])
        values[f"rollout/return/{name}"] = float(shard.mean_return[row])
    return values


def _mean(values: NDArray[np.float64], empty: float = float("nan")) -> float:
    """Average the finite ones."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else empty
