"""The contrastive loss of the unique features: its objectives, their triplets, the hinge on the variance within tasks.

A new objective is a function, a line in OBJECTIVES and its name in UniqueConfig.objective. Shapes depend on no data and
nothing here waits for the device. The losses of pairs (all but the triplet loss) take memory of the batch squared.
"""

# ruff: noqa: N803 -- shape suffixes are capitals

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from learner.network_config import UniqueConfig

_VARIANCE_EPSILON = 1e-4  # VICReg's; bounds the slope of the root at a variance of zero


class Triplets(NamedTuple):
    """Row numbers of M triplets. A triplet without a partner has weight 0 and may point anywhere."""

    anchor: Tensor  # i64[M]
    positive: Tensor  # i64[M], of the anchor's task and never the anchor
    negative: Tensor  # i64[M], of another task
    weight: Tensor  # f32[M], 1 / (number of valid triplets) or 0: sums to one, or to zero if there is none
    task_id: Tensor  # i64[B], of the batch
    group_sizes: Tensor  # i64[T], of the batch


class ContrastiveObjective:
    """The configured loss of unique features; actor and critics share the triplets of an update."""

    def __init__(self, config: UniqueConfig, num_tasks: int) -> None:
        self._config, self._num_tasks = config, num_tasks
        self._contrast = OBJECTIVES[config.objective]

    def draw(self, task_id: Tensor, generator: torch.Generator) -> Triplets:
        """Draw the triplets of one update from i64[B] sorted by task."""
        return draw_triplets(task_id, self._num_tasks, self._config.triplets_per_anchor, generator)

    def loss(self, unique_EBF: Tensor, triplets: Triplets) -> Tensor:
        """Return weight (contrast + hinge on the variance within tasks), f32[], summed over E."""
        config = self._config
        loss = self._contrast(unique_EBF, triplets, config)
        if config.within_variance > 0:
            loss = loss + variance_hinge(unique_EBF, triplets, config.within_variance)
        return config.triplet_weight * loss


def contrastive_objective(config: UniqueConfig, num_tasks: int) -> ContrastiveObjective | None:
    """Build the configured objective; None where there is no unique branch or its weight is 0."""
    return ContrastiveObjective(config, num_tasks) if config.is_contrastive else None


def contrastive_loss(
    objective: ContrastiveObjective | None, unique_EBF: Tensor | None, triplets: Triplets | None, like: Tensor
) -> Tensor:
    """Return the objective's loss, f32[]; zero, on the device of `like`, where there is none."""
    if objective is None or triplets is None or unique_EBF is None:
        return like.new_zeros(())
    return objective.loss(unique_EBF, triplets)


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
    weight = valid / valid.sum().clamp(min=1)
    return Triplets(anchor, positive, negative, weight, task_id, group_sizes)


def triplet_loss(unique_EBF: Tensor, triplets: Triplets, margin: float) -> Tensor:
    """Return (1/M) sum max(0, m + d(anchor, positive) - d(anchor, negative)), Euclidean d, summed over E."""
    return (_excess(unique_EBF, triplets, margin).clamp(min=0) * triplets.weight).sum()


def active_share(unique_EBF: Tensor, triplets: Triplets, margin: float) -> Tensor:
    """Return the share of the triplets whose loss is not zero, f32[], mean over E."""
    return ((_excess(unique_EBF, triplets, margin) > 0) * triplets.weight).sum() / unique_EBF.shape[0]


def _excess(unique_EBF: Tensor, triplets: Triplets, margin: float) -> Tensor:
    """Return m + d(anchor, positive) - d(anchor, negative), f32[E, M]."""
    anchor = unique_EBF.index_select(1, triplets.anchor)
    to_positive = torch.linalg.vector_norm(anchor - unique_EBF.index_select(1, triplets.positive), dim=2)
    to_negative = torch.linalg.vector_norm(anchor - unique_EBF.index_select(1, triplets.negative), dim=2)
    return margin + to_positive - to_negative


def hard_triplet_loss(unique_EBF: Tensor, task_id: Tensor, margin: float) -> Tensor:
    """Return the mean over anchors of max(0, m + max d(anchor, same task) - min d(anchor, other task)), summed over E.

    Batch-hard triplets (arXiv 1703.07737). An anchor alone in its task, or in a batch of one task, does not count.
    """
    same, other = _pairs(task_id)
    distance = torch.cdist(unique_EBF, unique_EBF)
    farthest = distance.masked_fill(~same, 0.0).amax(dim=2)
    nearest = distance.masked_fill(~other, torch.inf).amin(dim=2)
    return _mean_over_anchors((margin + farthest - nearest).clamp(min=0), same, other)


def supervised_contrastive_loss(unique_EBF: Tensor, task_id: Tensor, temperature: float) -> Tensor:
    """Return the mean over anchors of -mean_p log softmax_j(f f_j / temperature)[p], p its task's rows, summed over E.

    SupCon's L_out (arXiv 2004.11362). Anchors count as in `hard_triplet_loss`.
    """
    same, other = _pairs(task_id)
    cosine = unique_EBF @ unique_EBF.mT / temperature
    log_share = cosine - _masked(cosine, same | other).logsumexp(dim=2, keepdim=True)
    terms = -(log_share * same).sum(dim=2) / same.sum(dim=1).clamp(min=1)
    return _mean_over_anchors(terms, same, other)


def info_nce_loss(unique_EBF: Tensor, triplets: Triplets, temperature: float) -> Tensor:
    """Return the mean over anchors of -log softmax([positive, all rows of other tasks])[positive], summed over E.

    InfoNCE (arXiv 1807.03748) of cosines over a temperature.
    """
    _, other = _pairs(triplets.task_id)
    anchor = unique_EBF.index_select(1, triplets.anchor)
    positive = (anchor * unique_EBF.index_select(1, triplets.positive)).sum(dim=2) / temperature
    negatives = _masked(anchor @ unique_EBF.mT / temperature, other[triplets.anchor])
    everything = torch.logaddexp(positive, negatives.logsumexp(dim=2))
    return ((everything - positive) * triplets.weight).sum()


def variance_hinge(unique_EBF: Tensor, triplets: Triplets, least: float) -> Tensor:
    """Return the mean over tasks of max(0, sqrt(least) - standard deviation of the task's features), summed over E.

    VICReg's variance term (arXiv 2105.04906), of a task instead of a batch and of the whole vector instead of each
    component. It keeps the features of a task from becoming one point, which no contrast between tasks does. The root
    keeps the slope as the variance falls. Of n vectors of length one the variance is (1 - |mean|^2) n / (n - 1).
    """
    num_tasks, sizes = len(triplets.group_sizes), triplets.group_sizes.to(unique_EBF.dtype)
    sums = unique_EBF.new_zeros(unique_EBF.shape[0], num_tasks, unique_EBF.shape[2])
    means = sums.index_add(1, triplets.task_id, unique_EBF) / sizes.clamp(min=1)[:, None]
    variance = (1 - means.square().sum(dim=2)) * sizes / (sizes - 1).clamp(min=1)
    deviation = (variance + _VARIANCE_EPSILON).sqrt()
    hinge = ((least + _VARIANCE_EPSILON) ** 0.5 - deviation).clamp(min=0)
    valid = sizes > 1
    return (hinge * valid).sum() / valid.sum().clamp(min=1)


def _pairs(task_id: Tensor) -> tuple[Tensor, Tensor]:
    """Return bool[B, B] twice: another row of the same task, and a row of another task."""
    same = task_id[:, None] == task_id
    other = ~same
    return same.fill_diagonal_(False), other


def _masked(cosine: Tensor, keep: Tensor) -> Tensor:
    """Leave entries out of a softmax; finite, so that a row without any entry has no nan."""
    return cosine.masked_fill(~keep, torch.finfo(cosine.dtype).min)


def _mean_over_anchors(terms_EB: Tensor, same: Tensor, other: Tensor) -> Tensor:
    """Return the mean over rows with a partner in both masks, summed over E."""
    valid = same.any(dim=1) & other.any(dim=1)
    return (terms_EB * valid).sum() / valid.sum().clamp(min=1)


OBJECTIVES: dict[str, Callable[[Tensor, Triplets, UniqueConfig], Tensor]] = {
    "triplet": lambda f, drawn, config: triplet_loss(f, drawn, config.triplet_margin),
    "hard_triplet": lambda f, drawn, config: hard_triplet_loss(f, drawn.task_id, config.triplet_margin),
    "supcon": lambda f, drawn, config: supervised_contrastive_loss(f, drawn.task_id, config.temperature),
    "infonce": lambda f, drawn, config: info_nce_loss(f, drawn, config.temperature),
}
