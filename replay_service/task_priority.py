"""Task priority: from success rates to the share of each task in a batch, and from shares to quotas of whole rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replay_service.config import TaskPriorityConfig


def task_probability(success_rate: NDArray[np.float64], config: TaskPriorityConfig) -> NDArray[np.float64]:
    """Return shares f64[T], proportional to w = (1 - success_rate + offset)^exponent, in [clip_low, clip_high] / T.

    Their sum is 1. They are renormalised within the clip bounds: p = clip(c * w, low, high) with the c that
    makes the sum 1, since clipping first and dividing after would leave the bounds again. Uniform until every
    task has an episode.
    """
    num_tasks = len(success_rate)
    uniform = np.full(num_tasks, 1 / num_tasks)
    if not config.enabled or np.isnan(success_rate).any():
        return uniform
    weight = (1 - success_rate + config.offset) ** config.exponent
    low, high = config.clip_low / num_tasks, config.clip_high / num_tasks
    # the sum over c is piecewise linear, bent where a task meets a bound: np.interp inverts it exactly
    scale = np.sort(np.concatenate([low / weight, high / weight]))
    mass = np.clip(scale[:, None] * weight, low, high).sum(axis=1)
    share = np.clip(np.interp(1.0, mass, scale) * weight, low, high)
    return share / share.sum()


def task_quotas(probability: NDArray[np.float64], batch_size: int, floor: int) -> NDArray[np.int64]:
    """Return the rows to draw of each task, i64[T], by largest remainder: they sum to the batch, none is below `floor`.

    They become the group sizes of the batch.

    Raises:
        ValueError: the floors do not fit the batch.
    """
    num_tasks = len(probability)
    if floor * num_tasks > batch_size:
        raise ValueError(
            f"the quota floor must fit the batch, got {floor} rows for each of {num_tasks} tasks "
            f"in {batch_size}; lower sampling.task_priority.quota_floor"
        )
    exact = probability * batch_size
    quota = np.floor(exact + 1e-9).astype(np.int64)  # a share of 127.9999... is 128 rows
    remainder = exact - quota
    quota[np.argsort(-remainder, kind="stable")[: batch_size - quota.sum()]] += 1
    missing = np.maximum(floor - quota, 0)
    quota += missing
    for _ in range(missing.sum()):  # the greatest quotas pay for the floor, row by row
        quota[np.argmax(quota)] -= 1
    return quota
