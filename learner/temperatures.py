"""The temperatures: one alpha for each task, which holds the entropy of its policy at a target."""

from __future__ import annotations

import torch
from torch import Tensor

from learner import losses
from learner.batch import TensorBatch
from learner.config import SacConfig
from learner.finite_guard import FiniteGuard
from learner.learner_group import LearnerGroup
from learner.optimizers import temperature_adam
from learner.squashed_gaussian import target_entropy
from replay_service.types import TransitionSpec


class Temperatures:
    """log alpha f32[T] and its optimizer."""

    def __init__(
        self,
        sac: SacConfig,
        spec: TransitionSpec,
        guard: FiniteGuard,
        device: torch.device,
        on_device: bool,
        group: LearnerGroup,
    ) -> None:
        """`on_device` keeps the step size in a tensor, as `optimizers.py` has it."""
        self._bounds = sac.log_alpha_min, sac.log_alpha_max
        self._num_tasks, self._group = spec.num_tasks, group
        self.log_alpha = torch.full((spec.num_tasks,), sac.log_alpha_init, device=device, requires_grad=True)
        self.optimizer = guard.guard(temperature_adam(self.log_alpha, sac, on_device))
        self.target_entropy = target_entropy(sac, spec, device)

    def update(self, batch: TensorBatch, log_prob: Tensor, keep: Tensor) -> None:
        """Step towards the target entropy; `log_prob` f32[B] is of the policy, `keep` bool[T] the tasks that count."""
        task_id = batch.task_id
        row_losses = losses.temperature_row_losses(
            self.log_alpha[task_id], log_prob, self.target_entropy[task_id]
        )
        task_sums = losses.sum_by_task(row_losses, task_id, self._num_tasks)
        loss = losses.masked_mean(task_sums, keep, batch.num_rows * self._group.size)
        (self.log_alpha.grad,) = torch.autograd.grad(loss, [self.log_alpha])
        self._group.sum_([self.log_alpha.grad])
        self.optimizer.step()
        low, high = self._bounds
        if low is not None or high is not None:
            with torch.no_grad():
                self.log_alpha.clamp_(low, high)
