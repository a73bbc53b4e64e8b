"""Triplets of rows for the unique features' loss: anchor, one row of its task, one row of another task."""

# ruff: noqa: N803 -- shape suffixes are capitals

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Triplets(NamedTuple):
    """Row numbers of M triplets. A triplet without a partner has weight 0 and may point anywhere."""

    anchor: Tensor  # i64[M]
    positive: Tensor  # i64[M], of the anchor's task and never the anchor
    negative: Tensor  # i64[M], of another task
    weight: Tensor  # f32[M], 1 / (number of valid triplets) or 0: sums to one, or to zero if there is none


def draw_triplets(task_id: Tensor, num_tasks: int, per_anchor: int, generator: torch.Generator) -> Triplets:
    """Draws `per_anchor` triplets for every row; rows are sorted by task.

    Index arithmetic only: within its task's rows [start, start + count) an anchor steps 1 to count - 1 rows
    on, so it never meets itself; a negative is one of the B - count rows outside, the task's own cut out.
    """
    rows, device = task_id.shape[0], task_id.device
    counts = torch.zeros(num_tasks, dtype=torch.int64, device=device)
    counts.index_add_(0, task_id, torch.ones_like(task_id))
    starts = counts.cumsum(0) - counts
    anchor = torch.arange(rows, device=device).repeat(per_anchor)
    task = task_id.repeat(per_anchor)
    count, start = counts[task], starts[task]
    random = torch.randint(2**31, (2, rows * per_anchor), generator=generator, device=device)
    step = 1 + random[0] % (count - 1).clamp(min=1)
    positive = start + (anchor - start + step) % count
    outside = random[1] % (rows - count).clamp(min=1)
    negative = torch.where(outside < start, outside, outside + count).clamp(max=rows - 1)
    valid = ((count > 1) & (count < rows)).to(torch.float32)
    return Triplets(anchor, positive, negative, valid / valid.sum().clamp(min=1))


def triplet_loss(unique_EBF: Tensor, triplets: Triplets, margin: float) -> Tensor:
    """(1/M) sum max(0, m + d(anchor, positive) - d(anchor, negative)), Euclidean d, summed over E."""
    anchor = unique_EBF.index_select(1, triplets.anchor)
    to_positive = torch.linalg.vector_norm(anchor - unique_EBF.index_select(1, triplets.positive), dim=2)
    to_negative = torch.linalg.vector_norm(anchor - unique_EBF.index_select(1, triplets.negative), dim=2)
    return ((margin + to_positive - to_negative).clamp(min=0) * triplets.weight).sum()
