"""Merging answers, and importance weights."""

import numpy as np
import pytest

from replay_service.batching import effective_sample_size, importance_weights


def test_weights_have_one_maximum_over_the_whole_batch() -> None:
    """Two tasks: 10 rows at P 0.2 and 0.05, 1000 rows at P 0.001; (N P)^-1 is 0.5, 2 and 1."""
    weight = importance_weights(np.array([0.2, 0.05, 0.001]), np.array([10, 10, 1000]), 1.0)
    np.testing.assert_allclose(weight, [0.25, 1.0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(
        importance_weights(np.array([0.2, 0.05, 0.001]), np.array([10, 10, 1000]), 0.5),
        np.sqrt([0.25, 1.0, 0.5]),
        rtol=1e-6,
    )


@pytest.mark.parametrize("exponent", [0.0, 0.4, 1.0])
def test_uniform_probabilities_give_equal_weights(exponent: float) -> None:
    weight = importance_weights(np.full(8, 0.01), np.full(8, 100), exponent)
    assert weight.tolist() == [1.0] * 8 and weight.dtype == np.float32


def test_effective_sample_size_is_the_share_that_counts() -> None:
    assert effective_sample_size(np.full(8, 0.3, np.float32)) == pytest.approx(1.0)
    assert effective_sample_size(np.array([1, 0, 0, 0], np.float32)) == pytest.approx(0.25)
    assert effective_sample_size(np.array([1, 0.5], np.float32)) == pytest.approx(1.5**2 / (2 * 1.25))
