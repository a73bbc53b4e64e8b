"""Task priority: from success rates to the share of each task in a batch, and from shares to quotas of whole rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replay_service.config import TaskPriorityConfig


def task_probability(success_rate: NDArray[np.float64], config: TaskPriorityConfig) -> NDArray[np.float64]:
    """Return shares f64[T], proportional to w = (1 - success_rate + offset)^exponent, in [clip_low, clip_high] / T.

    A task of unknown success (nan: no episode yet, or none with a flag) has the uniform share 1 / T, and the others
    divide what is left among them.
    """
    num_tasks = len(success_rate)
    share = np.full(num_tasks, 1 / num_tasks)
    known = np.flatnonzero(~np.isnan(success_rate))
    if config.enabled and len(known):
        weight = (1 - success_rate[known] + config.offset) ** config.exponent
        low, high = config.clip_low / num_tasks, config.clip_high / num_tasks
        share[known] = _clipped_shares(weight, low, high, len(known) / num_tasks)
    return share


def _clipped_shares(
    weight: NDArray[np.float64], low: float, high: float, total: float
) -> NDArray[np.float64]:
    """Return clip(c * weight, low, high) with the c that makes their sum `total`.

    Clipping first and dividing after would leave the bounds again. The sum over c is piecewise linear, bent where an
    entry meets a bound: it is computed there from sums of the sorted weights, and np.interp inverts it exactly.
    """
    ascending = np.sort(weight)
    sum_of_first = np.concatenate([[0.0], np.cumsum(ascending)])
    c = np.sort(np.concatenate([low / weight, high / weight]))
    at_low = np.searchsorted(ascending, low / c)  # so many of the sorted weights are below low / c
    below_high = np.searchsorted(ascending, high / c, side="right")
    between = c * (sum_of_first[below_high] - sum_of_first[at_low])
    mass = low * at_low + between + high * (len(weight) - below_high)
    share = np.clip(np.interp(total, np.maximum.accumulate(mass), c) * weight, low, high)
    return share * (total / share.sum())


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
    return _lowered(quota + missing, int(missing.sum()))


def _lowered(quota: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Take rows away one by one, each from the greatest quota and there from the first: they pay for the floor."""
    if rows == 0:
        return quota
    descending = np.sort(quota)[::-1]
    # what it costs to bring the greatest 1, 2, ... quotas down to the last of them
    cost = np.cumsum(descending) - np.arange(1, len(quota) + 1) * descending
    count = int(np.searchsorted(cost, rows, side="right"))
    down, rest = divmod(rows - int(cost[count - 1]), count)
    lowered = np.minimum(quota, descending[count - 1] - down)
    lowered[np.flatnonzero(lowered == descending[count - 1] - down)[:rest]] -= 1
    return lowered
