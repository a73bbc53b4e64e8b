"""The step of a network: from a loss to new parameters, with the gradient clipped and checked on the way."""

from __future__ import annotations

import torch
from torch import Tensor

from learner.finite_guard import FiniteGuard, Stage
from learner.learner_group import LearnerGroup
from learner.networks import ComposedWeights, FeatureNetwork


class NetworkStep:
    """Steps one network by its optimizer, which the guard can stop."""

    def __init__(
        self,
        stage: Stage,
        network: FeatureNetwork,
        optimizer: torch.optim.Adam,
        guard: FiniteGuard,
        clip_norm: float | None,
        group: LearnerGroup,
    ) -> None:
        """`clip_norm`: greatest norm of the gradient; None: it is not clipped. `group` sums the gradients."""
        self._stage: Stage = stage
        self._network, self._optimizer = network, optimizer
        self._guard, self._clip_norm, self._group = guard, clip_norm, group

    def __call__(
        self, weights: ComposedWeights, loss: Tensor, task_losses: Tensor, learner_step: Tensor
    ) -> Tensor:
        """Compute the gradient by `weights`, clip it, check it and step; return its norm before clipping."""
        network = self._network
        network.set_gradients(weights.like(torch.autograd.grad(loss, weights.flat())))
        gradient = [p.grad for p in network.parameters() if p.grad is not None]
        self._group.sum_(gradient)
        norm = torch.nn.utils.get_total_norm(gradient, foreach=True)
        if self._clip_norm is not None:
            parameters = network.parameters()
            torch.nn.utils.clip_grads_with_norm_(parameters, self._clip_norm, norm, foreach=True)
        self._guard.check(self._stage, learner_step, task_losses, norm)
        self._optimizer.step()
        network.normalize_mix()
        return norm
