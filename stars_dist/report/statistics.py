"""Statistics over seeds and tasks: interquartile mean, stratified bootstrap, Welch's test.

Scores are success rates f64[S, T] of S seeds and T tasks. As in Agarwal et al., "Deep Reinforcement Learning at
the Edge of the Statistical Precipice" (arXiv 2108.13264), the tasks are the strata of the bootstrap: the seeds
of each task are drawn anew, the tasks stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95

Scores = NDArray[np.float64]


class Estimate(NamedTuple):
    """A statistic with its bootstrap interval; without an interval where there is one seed."""

    value: float
    low: float
    high: float


def mean(scores: Scores) -> float:
    """Average all S * T scores."""
    return float(scores.mean())


def interquartile_mean(scores: Scores) -> float:
    """Average the middle half of all S * T scores."""
    return float(stats.trim_mean(scores.ravel(), 0.25))


def worst_task(scores: Scores) -> float:
    """Find the least of the tasks' means over the seeds."""
    return float(scores.mean(axis=0).min())


def std_across_tasks(scores: Scores) -> float:
    """Average over the seeds the standard deviation of the tasks' success rates within a seed."""
    return float(scores.std(axis=1).mean())


def stratified_bootstrap(scores: Scores, statistic: Callable[[Scores], float], seed: int = 0) -> Estimate:
    """Compute a statistic with its 95 % percentile interval over resampled seeds, task by task."""
    num_seeds, num_tasks = scores.shape
    value = statistic(scores)
    if num_seeds < 2:
        return Estimate(value, float("nan"), float("nan"))
    drawn = np.random.default_rng(seed).integers(num_seeds, size=(RESAMPLES, num_seeds, num_tasks))
    values = [statistic(scores[rows, np.arange(num_tasks)]) for rows in drawn]
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return Estimate(value, float(low), float(high))


def welch_p_value(first: Scores, second: Scores) -> float:
    """Compute the two-sided p of Welch's t test on the seeds' means; nan where a method has one seed."""
    if min(len(first), len(second)) < 2:
        return float("nan")
    result: Any = stats.ttest_ind(first.mean(axis=1), second.mean(axis=1), equal_var=False)
    return float(result.pvalue)
