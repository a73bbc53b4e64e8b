"""Statistics of reports against hand-worked numbers and scipy's own bootstrap."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from stars_dist.report.statistics import (
    interquartile_mean,
    mean,
    std_across_tasks,
    stratified_bootstrap,
    welch_p_value,
    worst_task,
)

SCORES = np.array([[0.0, 0.5, 1.0, 1.0], [0.2, 0.5, 0.8, 0.4]])


def test_point_statistics_by_hand() -> None:
    assert mean(SCORES) == pytest.approx(4.4 / 8)
    assert interquartile_mean(SCORES) == pytest.approx((0.4 + 0.5 + 0.5 + 0.8) / 4)
    assert worst_task(SCORES) == pytest.approx(0.1)
    assert std_across_tasks(SCORES) == pytest.approx((np.std(SCORES[0]) + np.std(SCORES[1])) / 2)


def test_the_bootstrap_interval_is_that_of_scipy_where_there_is_one_task() -> None:
    scores = np.random.default_rng(3).uniform(size=(12, 1))
    ours = stratified_bootstrap(scores, mean)
    reference: Any = stats.bootstrap((scores[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=1)
    assert ours.value == pytest.approx(scores.mean())
    spread = reference.standard_error  # a percentile of 2,000 resamples is off by about a tenth of it
    assert ours.low == pytest.approx(reference.confidence_interval.low, abs=0.3 * spread)
    assert ours.high == pytest.approx(reference.confidence_interval.high, abs=0.3 * spread)


def test_tasks_are_strata_so_differences_between_tasks_do_not_widen_the_interval() -> None:
    alike = np.tile([0.0, 1.0], (5, 1))  # seeds agree, tasks do not
    assert stratified_bootstrap(alike, mean) == (0.5, 0.5, 0.5)


def test_one_seed_has_no_interval_and_no_p() -> None:
    assert math.isnan(stratified_bootstrap(SCORES[:1], mean).low)
    assert math.isnan(welch_p_value(SCORES[:1], SCORES))


def test_welch_compares_the_means_of_seeds() -> None:
    high, low = SCORES + np.array([[0.3], [0.1]]), SCORES - np.array([[0.2], [0.1]])
    expected: Any = stats.ttest_ind(high.mean(axis=1), low.mean(axis=1), equal_var=False)
    assert welch_p_value(high, low) == pytest.approx(expected.pvalue)
    assert welch_p_value(high, low) < 0.5
