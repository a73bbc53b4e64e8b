"""The contrastive objective of the unique features: what is drawn for an update, and the loss.

A new objective is a class with `draw` and `loss`, a line in OBJECTIVES and its name in UniqueConfig.objective.
"""

# ruff: noqa: N803 -- shape suffixes are capitals

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from learner.config import UniqueConfig


class ContrastiveObjective(Protocol):
    """Pulls unique features of one task together and pushes those of different tasks apart."""

    def draw(self, task_id: Tensor, generator: torch.Generator) -> Any:
        """Draw what the losses of one update compare, from i64[B] sorted by task; actor and critics share it."""
        ...

    def loss(self, unique_EBF: Tensor, drawn: Any) -> Tensor:
        """Return the weighted loss f32[], summed over E, of features of length one."""
        ...


def contrastive_objective(config: UniqueConfig, num_tasks: int) -> ContrastiveObjective | None:
    """Build the configured objective; None where there is no unique branch or its weight is 0."""
    return OBJECTIVES[config.objective](config, num_tasks) if config.is_contrastive else None


class TripletObjective:
    """The triplet loss of STARS: anchor, one row of its task, one row of another task."""

    def __init__(self, config: UniqueConfig, num_tasks: int) -> None:
        self._config, self._num_tasks = config, num_tasks

    def draw(self, task_id: Tensor, generator: torch.Generator) -> Triplets:
        """Draw `triplets_per_anchor` triplets for every row."""
        return draw_triplets(task_id, self._num_tasks, self._config.triplets_per_anchor, generator)

    def loss(self, unique_EBF: Tensor, drawn: Triplets) -> Tensor:
        """Return `triplet_weight` times the triplet loss."""
        return self._config.triplet_weight * triplet_loss(unique_EBF, drawn, self._config.triplet_margin)


OBJECTIVES: dict[str, Callable[[UniqueConfig, int], ContrastiveObjective]] = {"triplet": TripletObjective}


class Triplets(NamedTuple):
    """Row numbers of M triplets. A triplet without a partner has weight 0 and may point anywhere."""

    anchor: Tensor  # i64[M]
    positive: Tensor  # i64[M], of the anchor's task and never the anchor
    negative: Tensor  # i64[M], of another task
    weight: Tensor  # f32[M], 1 / (number of valid triplets) or 0: sums to one, or to zero if there is none


def draw_triplets(task_id: Tensor, num_tasks: int, per_anchor: int, generator: torch.Generator) -> Triplets:
    """Draw `per_anchor` triplets for every row; rows are sorted by task.

    Index arithmetic only: within its task's rows [start, start + size) an anchor steps 1 to size - 1 rows
    on, so it never meets itself; a negative is one of the B - size rows outside, the task's own cut out.
    """
    num_rows, device = task_id.shape[0], task_id.device
    group_sizes = torch.zeros(num_tasks, dtype=torch.int64, device=device)
    group_sizes.index_add_(0, task_id, torch.ones_like(task_id))
    starts = group_sizes.cumsum(0) - group_sizes
    anchor = torch.arange(num_rows, device=device).repeat(per_anchor)
    task = task_id.repeat(per_anchor)
    size, start = group_sizes[task], starts[task]
    random = torch.randint(2**31, (2, num_rows * per_anchor), generator=generator, device=device)
    step = 1 + random[0] % (size - 1).clamp(min=1)
    positive = start + (anchor - start + step) % size
    outside = random[1] % (num_rows - size).clamp(min=1)
    negative = torch.where(outside < start, outside, outside + size).clamp(max=num_rows - 1)
    valid = ((size > 1) & (size < num_rows)).to(torch.float32)
    return Triplets(anchor, positive, negative, valid / valid.sum().clamp(min=1))


def triplet_loss(unique_EBF: Tensor, triplets: Triplets, margin: float) -> Tensor:
    """Return (1/M) sum max(0, m + d(anchor, positive) - d(anchor, negative)), Euclidean d, summed over E."""
    anchor = unique_EBF.index_select(1, triplets.anchor)
    to_positive = torch.linalg.vector_norm(anchor - unique_EBF.index_select(1, triplets.positive), dim=2)
    to_negative = torch.linalg.vector_norm(anchor - unique_EBF.index_select(1, triplets.negative), dim=2)
    return ((margin + to_positive - to_negative).clamp(min=0) * triplets.weight).sum()
