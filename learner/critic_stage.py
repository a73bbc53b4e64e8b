"""The critics' part of an update: their targets, their loss and step, and the target critics that follow."""

from __future__ import annotations

import torch
from torch import Tensor

from learner import losses
from learner.batch import TensorBatch
from learner.config import SacConfig
from learner.contrastive import ContrastiveObjective, Triplets, contrastive_loss
from learner.diagnostics import CriticDiagnostics
from learner.extreme_loss import ExtremeLossRule, Verdict
from learner.learner_group import LearnerGroup
from learner.network_step import NetworkStep
from learner.networks import FeatureNetwork, NetworkInput


class CriticStage:
    """Computes the critics' loss; nothing in it waits for the device."""

    def __init__(
        self,
        network: FeatureNetwork,
        target: FeatureNetwork,
        step: NetworkStep,
        sac: SacConfig,
        contrast: ContrastiveObjective | None,
        rule: ExtremeLossRule,
        group: LearnerGroup,
    ) -> None:
        self._network, self._target, self._step = network, target, step
        self._sac, self._contrast, self._rule, self._group = sac, contrast, rule, group

    def value(self, inputs: NetworkInput, action: Tensor) -> Tensor:
        """Return Q(s, a) f32[B] of actions f32[B, A]; the critics are constants: a gradient stops at the action."""
        values = self._network(self._network.compose(), inputs, action).value_EBD.squeeze(2)
        return losses.critic_value(values, self._sac.critic_value)

    @torch.no_grad()
    def target(
        self,
        reward: Tensor,
        batch: TensorBatch,
        next_inputs: NetworkInput,
        next_action: Tensor,
        next_log_prob: Tensor,
        alpha: Tensor,
    ) -> Tensor:
        """Return what the critics are to learn, f32[B], by the target critics; `alpha` f32[T]."""
        values = self._target(self._target.compose(), next_inputs, next_action).value_EBD.squeeze(2)
        value = losses.critic_value(values, self._sac.critic_value)
        row_alpha = alpha[batch.task_id]
        discount = self._sac.gamma if batch.discount is None else batch.discount
        return losses.critic_target(reward, batch.terminated, value, next_log_prob, row_alpha, discount)

    def update(
        self,
        batch: TensorBatch,
        inputs: NetworkInput,
        target: Tensor,
        triplets: Triplets | None,
        learner_step: Tensor,
    ) -> tuple[CriticDiagnostics, Verdict]:
        """Step the critics; return also which tasks take part in this update."""
        num_tasks = self._network.layout.num_tasks
        weights = self._network.compose().leaves()
        output = self._network(weights, inputs, batch.action)
        value = output.value_EBD.squeeze(2)
        td_errors = target - value
        row_losses = losses.critic_row_losses(td_errors, batch.is_weight)
        task_sums = losses.sum_by_task(row_losses, batch.task_id, num_tasks)
        group_sizes = losses.sum_by_task(torch.ones_like(row_losses), batch.task_id, num_tasks)
        whole_sums, num_rows = task_sums.detach().clone(), batch.num_rows * self._group.size
        self._group.sum_([whole_sums, group_sizes])
        task_losses = whole_sums / group_sizes.clamp(min=1)
        verdict = self._rule.judge(task_losses, group_sizes)
        loss = losses.masked_mean(task_sums, ~verdict.masked, num_rows)
        unique = output.unique_EBF
        if triplets is not None and unique is not None:
            unique = self._group.whole_rows(unique)  # triplets are of the whole batch
        contrastive = contrastive_loss(self._contrast, unique, triplets, loss)
        norm = self._step(weights, loss + contrastive, task_losses, learner_step)
        whole_loss = losses.masked_mean(whole_sums, ~verdict.masked, num_rows)
        parts = (whole_loss, contrastive.detach(), norm, value.detach())
        return CriticDiagnostics(*parts, td_errors.detach().mean(dim=0), task_losses), verdict

    @torch.no_grad()
    def follow(self) -> None:
        """Move the target critics a step towards the critics."""
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage] -- has no public name
            list(self._target.parameters()), list(self._network.parameters()), self._sac.tau
        )
