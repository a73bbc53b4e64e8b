"""Statistics over seeds and tasks: interquartile mean, stratified bootstrap, probability of improvement, Welch's test.

Scores are f64[..., S, T] of S seeds and T tasks; a statistic reduces the last two axes, so that all resamples of all
moments are one call. As in Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(arXiv 2108.13264), the tasks are the strata of the bootstrap: the seeds of each task are drawn anew, the tasks stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95
BATCH_VALUES = 4_000_000  # of a batch of resamples, 32 MB

Scores = NDArray[np.float64]
Statistic = Callable[[Scores], Scores]


class Estimate(NamedTuple):
    """A statistic f64[...] with its bootstrap interval, which is nan where there is one seed."""

    value: Scores
    low: Scores
    high: Scores


def mean(scores: Scores) -> Scores:
    """Average all S * T scores."""
    return scores.mean(axis=(-2, -1))


def interquartile_mean(scores: Scores) -> Scores:
    """Average the middle half of all S * T scores."""
    return np.asarray(stats.trim_mean(scores.reshape(*scores.shape[:-2], -1), 0.25, axis=-1))


def worst_task(scores: Scores) -> Scores:
    """Find the least of the tasks' means over the seeds."""
    return scores.mean(axis=-2).min(axis=-1)


def worst_five(scores: Scores) -> Scores:
    """Average over the seeds the mean of the five worst tasks within a seed, or of all where there are fewer."""
    return np.sort(scores, axis=-1)[..., :5].mean(axis=(-2, -1))


def std_across_tasks(scores: Scores) -> Scores:
    """Average over the seeds the standard deviation of the tasks' scores within a seed."""
    return scores.std(axis=-1).mean(axis=-1)


def tasks_at_zero(scores: Scores) -> Scores:
    """Average over the seeds the number of tasks that never succeed within a seed."""
    return (scores <= 0).sum(axis=-1).mean(axis=-1)


def stratified_bootstrap(scores: Scores, statistic: Statistic, seed: int = 0) -> Estimate:
    """Compute a statistic with its 95 % percentile interval over resampled seeds, task by task."""
    return _bootstrap((scores,), lambda resampled: statistic(resampled[0]), seed)


def performance_profile(scores: Scores, levels: Scores) -> Estimate:
    """Compute for each level f64[K] the share of the S * T scores above it, with its interval."""
    return stratified_bootstrap((scores > levels[:, None, None]).astype(np.float64), mean)


def probability_of_improvement(scores: Scores, baseline: Scores, seed: int = 0) -> Estimate:
    """Compute how probably a run beats one of the baseline (a tie counts half), averaged over the tasks.

    It is the Mann-Whitney statistic of each task over the number of pairs; the seeds of both are resampled.
    """
    return _bootstrap((scores, baseline), _improvement, seed)


def welch_p_value(first: Scores, second: Scores) -> float:
    """Compute the two-sided p of Welch's t test on the seeds' means; nan where a method has one seed.

    Seeds without any spread make a test that knows no error: nan as well.
    """
    means = first.mean(axis=1), second.mean(axis=1)
    if min(map(len, means)) < 2 or all(np.ptp(of_method) == 0 for of_method in means):
        return float("nan")
    result: Any = stats.ttest_ind(*means, equal_var=False)
    return float(result.pvalue)


def _improvement(scores: tuple[Scores, ...]) -> Scores:
    ours, theirs = scores[0][..., :, None, :], scores[1][..., None, :, :]
    return ((ours > theirs) + 0.5 * (ours == theirs)).mean(axis=(-3, -2, -1))


def _bootstrap(
    groups: tuple[Scores, ...], statistic: Callable[[tuple[Scores, ...]], Scores], seed: int
) -> Estimate:
    """Resample the seeds of every task of every group independently."""
    value = np.asarray(statistic(groups))
    if min(scores.shape[-2] for scores in groups) < 2:
        return Estimate(value, np.full_like(value, np.nan), np.full_like(value, np.nan))
    num_tasks = groups[0].shape[-1]
    columns = [scores[..., task] for scores in groups for task in range(num_tasks)]

    def of_columns(*resampled: Scores, axis: int) -> Scores:
        ends = range(0, len(resampled), num_tasks)
        return statistic(tuple(np.stack(resampled[end : end + num_tasks], axis=axis) for end in ends))

    size = int(np.prod([scores.shape[-2] for scores in groups])) * max(scores.size for scores in groups)
    options: Any = {"method": "percentile", "axis": -1, "rng": seed, "confidence_level": CONFIDENCE}
    result: Any = stats.bootstrap(
        columns,
        of_columns,
        n_resamples=RESAMPLES,
        batch=max(1, BATCH_VALUES // size),
        vectorized=True,
        **options,
    )
    return Estimate(value, result.confidence_interval.low, result.confidence_interval.high)
