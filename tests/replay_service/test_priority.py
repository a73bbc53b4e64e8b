"""Masses, checks and importance weights against numbers worked by hand."""

import numpy as np
import pytest

from replay_service.priority import (
    check_priorities,
    effective_sample_size,
    importance_weights,
    initial_priority,
    is_exponent_at,
    priority_mass,
)


@pytest.mark.parametrize(
    ("alpha", "epsilon", "expected"),
    [
        pytest.param(1.0, 0.5, [0.5, 1.5, 4.5], id="alpha one"),
        pytest.param(0.5, 0.0, [0.0, 1.0, 2.0], id="a root"),
        pytest.param(0.0, 1e-6, [1.0, 1.0, 1.0], id="alpha zero is uniform"),
    ],
)
def test_mass_is_the_power_of_the_sum(alpha: float, epsilon: float, expected: list[float]) -> None:
    assert priority_mass(np.array([0.0, 1.0, 4.0]), alpha, epsilon).tolist() == expected


def test_new_rows_have_the_greatest_priority() -> None:
    assert initial_priority(0.0) == 1.0
    assert initial_priority(0.25) == 0.25


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e-9])
def test_a_bad_priority_is_refused_with_its_row(value: float) -> None:
    task_id, key = np.array([3, 4, 4], np.int32), np.array([10, 20, 30])
    with pytest.raises(
        ValueError, match=r"task 4: a priority must be finite .* in row 1 with key 20 \(2 of 3 rows\)"
    ):
        check_priorities(np.array([0.0, value, value]), task_id, key)
    check_priorities(np.array([0.0, 1.0, 1e300]), task_id, key)


def test_beta_is_linear_and_stays_at_its_ends() -> None:
    values = [is_exponent_at(progress, 0.4, 1.0) for progress in (-1.0, 0.0, 0.5, 1.0, 2.0)]
    assert values == pytest.approx([0.4, 0.4, 0.7, 1.0, 1.0])


def test_weights_have_one_scale_over_the_whole_batch() -> None:
    """Two tasks: 10 rows at P 0.2 and 0.05, 1000 rows at P 0.001; (N P)^-1 is 0.5, 2 and 1, their mean 7 / 6."""
    probability, table_size = np.array([0.2, 0.05, 0.001]), np.array([10, 10, 1000])
    weight = importance_weights(probability, table_size, 1.0)
    np.testing.assert_allclose(weight, np.array([0.5, 2.0, 1.0]) * 6 / 7, rtol=1e-6)
    root = importance_weights(probability, table_size, 0.5)
    np.testing.assert_allclose(root / root.max(), np.sqrt([0.25, 1.0, 0.5]), rtol=1e-6)


@pytest.mark.parametrize("exponent", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_weights_have_mean_one_however_priorities_spread(spread: float, exponent: float) -> None:
    """What the critic's loss weighs beside the other losses follows neither beta nor the priorities."""
    rng = np.random.default_rng(0)
    probability = np.exp(spread * rng.normal(size=1280)) / 1e5
    weight = importance_weights(probability, rng.integers(1, 100_000, 1280), exponent)
    assert weight.mean(dtype=np.float64) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("exponent", [0.0, 0.4, 1.0])
def test_uniform_probabilities_give_equal_weights(exponent: float) -> None:
    weight = importance_weights(np.full(8, 0.01), np.full(8, 100), exponent)
    assert weight.tolist() == [1.0] * 8 and weight.dtype == np.float32


def test_effective_sample_size_is_the_share_that_counts() -> None:
    assert effective_sample_size(np.full(8, 0.3, np.float32)) == pytest.approx(1.0)
    assert effective_sample_size(np.array([1, 0, 0, 0], np.float32)) == pytest.approx(0.25)
    assert effective_sample_size(np.array([1, 0.5], np.float32)) == pytest.approx(1.5**2 / (2 * 1.25))
