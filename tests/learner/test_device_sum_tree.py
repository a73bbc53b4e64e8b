"""The device's sum tree against cumulative sums, and against the shards' tree."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from learner.device_sum_tree import DeviceSumTree
from learner.mirror_size import FAN_OUT, level_widths
from replay_service.sum_tree import SumTree

CPU = torch.device("cpu")


@pytest.mark.parametrize("leaves", [1, FAN_OUT, FAN_OUT + 1, 5000])
def test_finds_what_cumulative_sums_find(leaves: int) -> None:
    rng = np.random.default_rng(leaves)
    tree, plain = DeviceSumTree(3, leaves, CPU), SumTree(3, leaves)
    mass = rng.random((3, leaves)) * (rng.random((3, leaves)) < 0.7)
    mass[:, 0] = 1.0
    table = np.repeat(np.arange(3), leaves)
    leaf = np.tile(np.arange(leaves), 3)
    tree.set(torch.from_numpy(table), torch.from_numpy(leaf), torch.from_numpy(mass.ravel()))
    plain.set(table, leaf, mass.ravel())
    drawn = rng.integers(0, 3, 500)
    value = rng.random(500) * mass.sum(axis=1)[drawn]
    found = tree.find(torch.from_numpy(drawn), torch.from_numpy(value)).numpy()
    np.testing.assert_array_equal(found, plain.find(drawn, value))
    np.testing.assert_allclose(tree.total(torch.arange(3)).numpy(), mass.sum(axis=1))
    assert (mass[drawn, found] > 0).all()


def test_a_node_is_the_sum_of_its_children_after_many_changes() -> None:
    """Sums that are changed by differences would drift: 1e16 + 1 - 1e16 is 0."""
    tree = DeviceSumTree(2, 5000, CPU)
    table, leaf = torch.zeros(3, dtype=torch.int64), torch.tensor([7, 8, 4999])
    tree.set(table, leaf, torch.full((3,), 1e16, dtype=torch.float64))
    tree.set(table, leaf, torch.ones(3, dtype=torch.float64))
    assert tree.total(torch.tensor([0, 1])).tolist() == [3.0, 0.0]
    assert tree.find(table, torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64)).tolist() == [7, 8, 4999]
    tree.clear(0)
    assert tree.total(torch.tensor([0])).tolist() == [0.0]


def test_a_million_leaves_need_four_levels() -> None:
    assert level_widths(1_000_000) == [1_000_000, 15_680, 256, 64]


@pytest.mark.parametrize("leaves", [10, 5000, 100_000])
def test_a_value_at_or_above_the_total_ends_within_the_tree(leaves: int) -> None:
    """Rounding can make one of a value just below it; a level's padding has no children to go on to."""
    tree = DeviceSumTree(2, leaves, CPU)
    table = torch.tensor([0, 1])
    last = torch.full((2,), leaves - 1)
    tree.set(table, last, torch.ones(2, dtype=torch.float64))
    found = tree.find(table, torch.tensor([1.0, 1.5], dtype=torch.float64))
    assert (found >= leaves - 1).all() and (found < level_widths(leaves)[0]).all()
    assert tree.find(table, torch.tensor([0.0, 0.999], dtype=torch.float64)).tolist() == [leaves - 1] * 2
