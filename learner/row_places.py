"""Places for the rows of a batch where every task has as many: static shapes for matrices that differ by task."""

# ruff: noqa: N803 -- shape suffixes are capitals

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class RowPlaces(NamedTuple):
    """Where the rows of a batch, sorted by task, lie among T * C places: a task's rows first, then its padding.

    Padding repeats other rows of the batch, so that what is computed there is finite; nothing of it is read, and its
    gradient is zero. No shape depends on how many rows a task has.
    """

    source: Tensor  # i64[T * C], the row at each place
    place: Tensor  # i64[B], the place of each row
    num_tasks: int
    rows_per_task: int  # C, at least the rows of any task

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """The places of each task, C for every one."""
        return (self.rows_per_task,) * self.num_tasks

    @property
    def task_id(self) -> Tensor:
        """The task of each place, i64[T * C]."""
        tasks = torch.arange(self.num_tasks, device=self.place.device)
        return tasks[:, None].expand(-1, self.rows_per_task).flatten()

    def spread(self, x_EBF: Tensor) -> Tensor:
        """Bring rows to their places, with repeated rows as padding, [E, T * C, F]."""
        return x_EBF.index_select(1, self.source)

    def spread_with_zeros(self, x_EBF: Tensor) -> Tensor:
        """Bring rows to their places, with zeros as padding, [E, T * C, F]."""
        wide = x_EBF.new_zeros(x_EBF.shape[0], len(self.source), x_EBF.shape[2])
        return wide.index_copy_(1, self.place, x_EBF)

    def collect(self, x_EPF: Tensor) -> Tensor:
        """Take the rows from their places, [E, B, F]."""
        return x_EPF.index_select(1, self.place)


def row_places(task_id: Tensor, num_tasks: int, rows_per_task: int) -> RowPlaces:
    """Place rows of the tasks i64[B], sorted; the caller knows that no task has more than `rows_per_task`."""
    rows = torch.arange(len(task_id), device=task_id.device)
    sizes = torch.zeros(num_tasks, dtype=torch.int64, device=task_id.device)
    sizes.index_add_(0, task_id, torch.ones_like(task_id))
    starts = sizes.cumsum(0) - sizes
    place = task_id * rows_per_task + rows - starts[task_id]
    offsets = torch.arange(rows_per_task, device=task_id.device)
    source = (starts[:, None] + offsets).clamp(max=len(task_id) - 1).flatten()
    return RowPlaces(source, place, num_tasks, rows_per_task)


def static_groups(task_id: Tensor, num_tasks: int, rows_per_task: int) -> tuple[int, ...] | RowPlaces:
    """Return the groups of a batch in which no task has more rows: places, or even groups where all are full."""
    if len(task_id) == num_tasks * rows_per_task:
        return (rows_per_task,) * num_tasks
    return row_places(task_id, num_tasks, rows_per_task)
