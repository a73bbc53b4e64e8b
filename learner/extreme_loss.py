"""The extreme-loss rule of PaCo: a task whose loss explodes is reset to a mixture of the others."""

from __future__ import annotations

import torch
from torch import Tensor

from learner.networks import FeatureNetwork


def healthy_tasks(task_losses: Tensor, threshold: float | None) -> Tensor:
    """Return bool[T], the tasks whose losses count in this update; without a threshold all do."""
    if threshold is None:
        return torch.ones_like(task_losses, dtype=torch.bool)
    return task_losses <= threshold


def draw_interpolation(healthy: Tensor, generator: torch.Generator) -> Tensor:
    """Draw random convex weights over the healthy tasks for every task, f32[T, T]; zeros if none is healthy."""
    weights = torch.rand(2 * healthy.shape, generator=generator, device=healthy.device) * healthy
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)


@torch.no_grad()
def reset_mix(
    network: FeatureNetwork,
    optimizer: torch.optim.Adam,
    healthy: Tensor,
    interpolation: Tensor,
    target: FeatureNetwork | None = None,
) -> None:
    """Give every extreme task a new w, zero its optimizer moments and copy it into the target network.

    With the old moments the next steps would move the new w where the old one was going. Nothing changes where
    no task is healthy: there is nothing to mix.
    """
    if network.mix is None:
        return
    extreme = (~healthy & healthy.any())[:, None]  # over [E, T, K]
    network.mix.copy_(torch.where(extreme, interpolation @ network.mix, network.mix))
    network.normalize_mix()
    moments = optimizer.state.get(network.mix, {})
    for name in ("exp_avg", "exp_avg_sq"):
        if name in moments:
            moments[name].masked_fill_(extreme, 0.0)
    if target is not None and target.mix is not None:
        target.mix.copy_(torch.where(extreme, network.mix, target.mix))
