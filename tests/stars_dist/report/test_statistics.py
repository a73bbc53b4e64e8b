"""Statistics of reports against hand-worked numbers, scipy, and rliable, whose paper they are from."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from stars_dist.report.statistics import (
    Estimate,
    interquartile_mean,
    mean,
    performance_profile,
    probability_of_improvement,
    std_across_tasks,
    stratified_bootstrap,
    tasks_at_zero,
    welch_p_value,
    worst_five,
    worst_task,
)

SCORES = np.array([[0.0, 0.5, 1.0, 1.0], [0.2, 0.5, 0.8, 0.4]])
RESAMPLES = 3_000  # of the reference


def success_rates(seed: int, num_seeds: int, lift: float) -> NDArray[np.float64]:
    """Draw success rates of 50 episodes for ten tasks of different difficulty, f64[S, T]."""
    rng = np.random.default_rng(seed)
    chance = np.clip(np.linspace(0.0, 0.9, 10) + lift + rng.normal(0, 0.08, (num_seeds, 10)), 0, 1)
    return rng.binomial(50, chance) / 50


def assert_same_interval(ours: Estimate, reference: NDArray[np.float64], rung: float) -> None:
    """Compare with percentiles of other draws: to a tenth of the interval's width, and a rung of what is possible."""
    width = np.ptp(reference, axis=0)
    assert (np.abs(ours.low - reference[0]) <= 0.1 * width + rung).all()
    assert (np.abs(ours.high - reference[1]) <= 0.1 * width + rung).all()


def test_point_statistics_by_hand() -> None:
    assert mean(SCORES) == pytest.approx(4.4 / 8)
    assert interquartile_mean(SCORES) == pytest.approx((0.4 + 0.5 + 0.5 + 0.8) / 4)
    assert worst_task(SCORES) == pytest.approx(0.1)
    assert std_across_tasks(SCORES) == pytest.approx((np.std(SCORES[0]) + np.std(SCORES[1])) / 2)
    assert tasks_at_zero(SCORES) == 0.5
    assert worst_five(SCORES) == pytest.approx(mean(SCORES))
    assert worst_five(np.tile(np.arange(10.0), (2, 1))) == pytest.approx(2.0)


def test_aggregates_and_their_intervals_are_those_of_rliable() -> None:
    from rliable import library, metrics

    scores = success_rates(3, 5, 0.0)
    points, intervals = library.get_interval_estimates(
        {"ours": scores},
        lambda x: np.array([metrics.aggregate_mean(x), metrics.aggregate_iqm(x)]),
        reps=RESAMPLES,
        random_state=np.random.RandomState(1),
    )
    for column, statistic in enumerate((mean, interquartile_mean)):
        ours = stratified_bootstrap(scores, statistic)
        assert ours.value == pytest.approx(points["ours"][column])
        assert_same_interval(ours, intervals["ours"][:, column], rung=1 / (50 * scores.size))


def test_a_performance_profile_is_that_of_rliable() -> None:
    from rliable import library

    scores, levels = success_rates(4, 4, 0.1), np.linspace(0, 1, 21)
    share_above: Any = library.run_score_deviation  # annotated as if for one level
    profiles, intervals = library.get_interval_estimates(
        {"ours": scores},
        lambda x: np.array([share_above(x, level) for level in levels]),
        reps=RESAMPLES,
        random_state=np.random.RandomState(2),
    )
    ours = performance_profile(scores, levels)
    np.testing.assert_allclose(ours.value, profiles["ours"])
    assert_same_interval(ours, np.asarray(intervals["ours"]), rung=1.001 / scores.size)


def test_the_probability_of_improvement_is_that_of_rliable_and_a_tie_counts_half() -> None:
    from rliable import library, metrics

    ours, baseline = success_rates(5, 5, 0.05), success_rates(6, 4, 0.0)
    pair: Any = {"pair": (ours, baseline)}
    points, intervals = library.get_interval_estimates(
        pair,
        lambda x, y: np.array([metrics.probability_of_improvement(x, y)]),
        reps=300,  # a Mann-Whitney test per task and resample
        random_state=np.random.RandomState(3),
    )
    estimate = probability_of_improvement(ours, baseline)
    assert estimate.value == pytest.approx(points["pair"][0])
    width = float(np.ptp(intervals["pair"]))
    assert estimate.low == pytest.approx(intervals["pair"][0, 0], abs=0.2 * width)
    assert estimate.high == pytest.approx(intervals["pair"][1, 0], abs=0.2 * width)
    assert probability_of_improvement(ours, ours).value == pytest.approx(0.5)
    assert probability_of_improvement(np.ones((2, 3)), np.zeros((3, 3))) == (1.0, 1.0, 1.0)


def test_the_bootstrap_interval_is_that_of_scipy_where_there_is_one_task() -> None:
    scores = np.random.default_rng(3).uniform(size=(12, 1))
    ours = stratified_bootstrap(scores, mean)
    reference: Any = stats.bootstrap((scores[:, 0],), np.mean, n_resamples=20_000, method="percentile", rng=1)
    assert ours.value == pytest.approx(scores.mean())
    spread = reference.standard_error  # a percentile of 2,000 resamples is off by about a tenth of it
    assert ours.low == pytest.approx(reference.confidence_interval.low, abs=0.3 * spread)
    assert ours.high == pytest.approx(reference.confidence_interval.high, abs=0.3 * spread)


def test_all_moments_of_a_curve_are_one_call() -> None:
    curve = np.stack([SCORES * share for share in (0.0, 0.5, 1.0)])
    whole = stratified_bootstrap(curve, mean)
    assert whole.value.shape == whole.low.shape == (3,)
    last = stratified_bootstrap(SCORES, mean)
    np.testing.assert_allclose([whole.value[2], whole.low[2], whole.high[2]], last)


def test_tasks_are_strata_so_differences_between_tasks_do_not_widen_the_interval() -> None:
    alike = np.tile([0.0, 1.0], (5, 1))  # seeds agree, tasks do not
    assert stratified_bootstrap(alike, mean) == (0.5, 0.5, 0.5)


def test_one_seed_has_no_interval_and_no_p() -> None:
    assert math.isnan(stratified_bootstrap(SCORES[:1], mean).low)
    assert math.isnan(probability_of_improvement(SCORES[:1], SCORES).low)
    assert math.isnan(welch_p_value(SCORES[:1], SCORES))


def test_welch_compares_the_means_of_seeds() -> None:
    high, low = SCORES + np.array([[0.3], [0.1]]), SCORES - np.array([[0.2], [0.1]])
    expected: Any = stats.ttest_ind(high.mean(axis=1), low.mean(axis=1), equal_var=False)
    assert welch_p_value(high, low) == pytest.approx(expected.pvalue)
    assert welch_p_value(high, low) < 0.5


def test_seeds_without_any_spread_have_no_p() -> None:
    assert math.isnan(welch_p_value(np.ones((3, 2)), np.zeros((3, 2))))
