"""Observations normalized by running statistics, as in SimBa (arXiv 2410.09754)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from learner.learner_group import ALONE, LearnerGroup

_LEAST_VARIANCE = 1e-4  # in squared units of the observation: a component that hardly varies is not blown up


class ObservationNorm(nn.Module):
    """(o - mean) / std of every component; one statistic for all tasks, over all rows of all batches so far.

    A published policy has both folded into its first layers (`fold`), so that actors need no statistics.
    """

    mean: Tensor  # f64[O]
    variance: Tensor  # f64[O]
    rows: Tensor  # f64[], number of rows in the statistics

    def __init__(self, obs_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(obs_dim, dtype=torch.float64))
        self.register_buffer("variance", torch.ones(obs_dim, dtype=torch.float64))
        self.register_buffer("rows", torch.zeros((), dtype=torch.float64))

    @torch.no_grad()
    def observe(self, obs: Tensor, group: LearnerGroup = ALONE) -> None:
        """Update the statistics with the rows f32[B, O] of every learner (Chan's parallel update)."""
        variance, mean = torch.var_mean(obs.double(), dim=0, correction=0)
        if not group.is_alone:  # shares are of one size
            square = variance + mean.square()
            group.sum_([mean, square])
            mean /= group.size
            variance = square / group.size - mean.square()
        num_rows = obs.shape[0] * group.size
        self.rows += num_rows
        share = num_rows / self.rows
        step = mean - self.mean
        self.mean += share * step
        self.variance += share * (variance - self.variance) + share * (1 - share) * step.square()

    def forward(self, obs: Tensor) -> Tensor:
        """Return normalized observations f32[B, O]."""
        return (obs - self.mean.float()) * self._scale

    def fold(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return a first layer f32[K, in, out], f32[K, out] that reads raw observations and computes the same."""
        obs_dim = len(self.mean)
        rows = weight[:, :obs_dim] * self._scale[:, None]
        return torch.cat([rows, weight[:, obs_dim:]], dim=1), bias - self.mean.float() @ rows

    @property
    def _scale(self) -> Tensor:
        return (self.variance + _LEAST_VARIANCE).rsqrt().float()
