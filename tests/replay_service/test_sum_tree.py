"""Sum trees against plain numpy sums."""

import numpy as np
import pytest

from replay_service.sum_tree import SumTree

SIZES = [(1, 1), (1, 2), (1, 7), (3, 1), (3, 5), (4, 64), (10, 1000)]


@pytest.mark.parametrize(("trees", "leaves"), SIZES)
def test_totals_and_leaves_match_numpy(trees: int, leaves: int) -> None:
    rng = np.random.default_rng(0)
    tree, reference = SumTree(trees, leaves), np.zeros((trees, leaves))
    for _ in range(50):
        row, leaf = rng.integers(trees, size=9), rng.integers(leaves, size=9)
        value = rng.random(9)
        tree.set(row, leaf, value)
        reference[row, leaf] = value
        start = int(rng.integers(leaves))
        values = rng.random(int(rng.integers(1, leaves - start + 1)))
        which = int(rng.integers(trees))
        tree.set_range(which, start, values)
        reference[which, start : start + len(values)] = values
    np.testing.assert_allclose(tree.total, reference.sum(axis=1), rtol=1e-14)
    row, leaf = (index.ravel() for index in np.indices(reference.shape))
    np.testing.assert_array_equal(tree.get(row, leaf), reference.ravel())


@pytest.mark.parametrize(("trees", "leaves"), SIZES)
def test_find_matches_a_search_in_cumulative_sums(trees: int, leaves: int) -> None:
    rng = np.random.default_rng(1)
    # small integers: all sums are exact, so every boundary can be asked for itself; some leaves are zero
    weight = rng.integers(0, 4, size=(trees, leaves)).astype(np.float64)
    weight[:, -1] = 1
    tree = SumTree(trees, leaves)
    for row in range(trees):
        tree.set_range(row, 0, weight[row])
        value = np.arange(weight[row].sum())
        expected = np.searchsorted(np.cumsum(weight[row]), value, side="right")
        np.testing.assert_array_equal(tree.find(np.full(len(value), row), value), expected)


def test_the_last_of_equal_leaves_counts() -> None:
    tree = SumTree(1, 8)
    tree.set(np.zeros(3, np.int64), np.array([5, 5, 5]), np.array([1.0, 2.0, 3.0]))
    assert tree.total.tolist() == [3.0]


def test_sums_do_not_drift_over_a_million_updates_of_very_different_sizes() -> None:
    rng = np.random.default_rng(2)
    tree, reference = SumTree(1, 1000), np.zeros(1000)
    for _ in range(1000):
        leaf, value = rng.permutation(1000), 10.0 ** rng.uniform(-8, 8, 1000)
        tree.set(np.zeros(1000, np.int64), leaf, value)
        reference[leaf] = value
    tree.set_range(0, 0, np.full(1000, 1e-8))  # what the great values leave behind would drown these
    assert abs(tree.total[0] / 1e-5 - 1) < 1e-12
