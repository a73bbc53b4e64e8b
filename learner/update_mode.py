"""How an update is computed: with shapes that follow the quotas, or static ones that a graph can hold."""

from __future__ import annotations

import math
from typing import NamedTuple

from replay_service.config import SamplingConfig

ROW_MULTIPLE = (
    8  # of the places of a task, and of the inner dimension of products: what tensor cores read at once
)


class UpdateMode(NamedTuple):
    """Every mode computes the same update, up to rounding and to the order of random numbers.

    A static update reads nothing on the host and has no shape that depends on the quotas. It adds what the eager one
    leaves out after a look at the host: the reset of w is computed in each update, and kept where a task is reset.
    """

    rows_per_task: int | None = None  # places of each task in products; None: as many as it has rows
    inner_multiple: int = 1  # inner dimensions of products are padded with zeros to a multiple of it

    @property
    def is_static(self) -> bool:
        """Whether nothing in an update depends on a value that the host would have to read."""
        return self.rows_per_task is not None


EAGER = UpdateMode()


def static_mode(sampling: SamplingConfig, num_tasks: int, num_learners: int = 1) -> UpdateMode:
    """Return the static mode for the quotas that a configuration allows, or a learner's share of them."""
    return UpdateMode(largest_quota(sampling, num_tasks, num_learners), ROW_MULTIPLE)


def largest_quota(sampling: SamplingConfig, num_tasks: int, num_learners: int = 1) -> int:
    """Return a bound on the rows of one task in a learner's share of a batch, a multiple of ROW_MULTIPLE.

    No share of a task is above clip_high / T, and what a floor takes away it takes from the greatest quotas.
    """
    rows = sampling.batch_size_per_task
    if sampling.task_priority.enabled:
        rows = min(math.ceil(sampling.task_priority.clip_high * rows), rows * num_tasks)
    return math.ceil(math.ceil(rows / num_learners) / ROW_MULTIPLE) * ROW_MULTIPLE
