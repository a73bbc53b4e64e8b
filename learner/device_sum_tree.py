"""Sum trees on the learner's device: sets leaves and finds them by cumulative value, with no read on the host."""

from __future__ import annotations

import torch
from torch import Tensor

from learner.mirror_size import FAN_OUT, level_widths


class DeviceSumTree:
    """One fp64 sum tree per table, all side by side; the time of a call depends on the rows that it is given alone.

    Level 0 holds the leaves, a node of the next level the sum of FAN_OUT children. As in
    `replay_service/sum_tree.py` a node is always computed anew from all its children, never by adding a difference,
    so that no rounding error gathers.
    """

    def __init__(self, num_tables: int, num_leaves: int, device: torch.device) -> None:
        self._widths = level_widths(num_leaves)  # entries per table of each level
        self._levels = [
            torch.zeros(num_tables, width, dtype=torch.float64, device=device) for width in self._widths
        ]

    def get(self, table: Tensor, leaf: Tensor) -> Tensor:
        """Return the values of the named leaves, f64[N]."""
        return self._levels[0][table, leaf]

    def total(self, table: Tensor) -> Tensor:
        """Return the sum of the tree of each named table, f64[N]."""
        return self._levels[-1].index_select(0, table).sum(1)

    def set(self, table: Tensor, leaf: Tensor, value: Tensor) -> None:
        """Set leaves; one that is named twice must be given the same value twice."""
        self._levels[0][table, leaf] = value
        node = leaf
        for level, parents in zip(self._levels, self._levels[1:], strict=False):
            node = node // FAN_OUT
            parents[table, node] = self._children(level, table, node).sum(1)

    def clear(self, table: int) -> None:
        """Set all leaves of a table to zero."""
        for level in self._levels:
            level[table].zero_()

    def find(self, table: Tensor, value: Tensor) -> Tensor:
        """Find the leaf of each tree with sum(leaves before) <= value < sum(leaves up to it), i64[N].

        A value at or above the total, as rounding can make of one just below it, ends at or after the last leaf that
        is not zero: callers clamp to the leaves in use.
        """
        node = torch.zeros_like(table)
        # what lies below the nodes of each level, from the top: an entry of its padding has no children
        for level, below in zip(reversed(self._levels), [*reversed(self._widths[:-1]), None], strict=True):
            sums = self._children(level, table, node).cumsum(1)
            child = (sums <= value[:, None]).sum(1).clamp(max=FAN_OUT - 1)
            before = sums.gather(1, (child - 1).clamp(min=0)[:, None]).squeeze(1)
            value = value - torch.where(child > 0, before, 0.0)
            node = node * FAN_OUT + child
            if below is not None:
                node = node.clamp(max=below // FAN_OUT - 1)
        return node

    def _children(self, level: Tensor, table: Tensor, node: Tensor) -> Tensor:
        """Return the children of nodes of the level above, f64[N, FAN_OUT]."""
        per_table = level.shape[1] // FAN_OUT
        return level.view(-1, FAN_OUT).index_select(0, table * per_table + node)
