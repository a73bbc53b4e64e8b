"""Sum trees: sets leaf values and finds leaves by cumulative value, for many trees and leaves in one call."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SWEEP_RATIO = 4  # a node of a whole level costs about a quarter of a node by its index


class SumTree:
    """`num_trees` binary fp64 sum trees of `num_leaves` leaves, side by side in one heap.

    The children of node n are 2n and 2n + 1. With R = num_trees and L = num_leaves, both rounded up to powers
    of two, tree t has its root at node R + t and leaf l at node (R + t) * L + l, so one descent serves rows
    of all trees. An inner node is always computed anew as left + right, never by adding a difference: the
    rounding error of a sum stays below log2(L) units in the last place and there is no drift to be rebuilt.
    """

    def __init__(self, num_trees: int, num_leaves: int) -> None:
        self._num_trees = num_trees
        self._roots = 1 << (num_trees - 1).bit_length()
        self._depth = (num_leaves - 1).bit_length()
        self._node = np.zeros(2 * self._roots << self._depth, np.float64)
        self._pair = self._node.reshape(-1, 2)  # row n holds the children of node n

    @property
    def total(self) -> NDArray[np.float64]:
        """The sum of each tree, f64[num_trees]; a live view."""
        return self._node[self._roots : self._roots + self._num_trees]

    def get(self, tree: NDArray[np.int64], leaf: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the values of the named leaves."""
        return self._node[self._leaf_node(tree, leaf)]

    def leaves(self, tree: int, count: int) -> NDArray[np.float64]:
        """Copy the first leaves of a tree."""
        low = (self._roots + tree) << self._depth
        return self._node[low : low + count].copy()

    def set(self, tree: NDArray[np.int64], leaf: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Set leaves, pairwise; of equal leaves the last one counts."""
        node = self._leaf_node(tree, leaf)
        self._node[node] = value
        level = self._depth
        while level and self._roots << (level - 1) > SWEEP_RATIO * len(node):
            level -= 1
            node >>= 1
            pair = self._pair.take(node, axis=0)
            self._node[node] = pair[:, 0] + pair[:, 1]
        while level:  # near the roots the paths have met: compute whole levels
            level -= 1
            low = self._roots << level
            np.add(self._pair[low : 2 * low, 0], self._pair[low : 2 * low, 1], out=self._node[low : 2 * low])

    def set_range(self, tree: int, start: int, value: NDArray[np.float64]) -> None:
        """Set consecutive leaves of one tree, from `start` on."""
        low = ((self._roots + tree) << self._depth) + start
        high = low + len(value)
        self._node[low:high] = value
        for _ in range(self._depth):
            low, high = low >> 1, (high + 1) >> 1
            np.add(self._pair[low:high, 0], self._pair[low:high, 1], out=self._node[low:high])

    def find(self, tree: NDArray[np.int64], value: NDArray[np.float64]) -> NDArray[np.int64]:
        """Find the leaf l of each tree with sum(leaves before l) <= value < sum(leaves up to l).

        A value at or above the total, as rounding can make of one just below it, ends at or after the last
        leaf that is not zero: callers clamp to the leaves in use.
        """
        node = tree + self._roots
        rest = value.copy()
        for _ in range(self._depth):
            node <<= 1
            left = self._node.take(node)
            right = rest >= left
            left *= right
            rest -= left
            node += right
        return node & ((1 << self._depth) - 1)

    def _leaf_node(self, tree: NDArray[np.int64], leaf: NDArray[np.int64]) -> NDArray[np.int64]:
        return ((tree + self._roots) << self._depth) + leaf
