"""The actor's part of an update: samples of its policy, its loss and its step."""

from __future__ import annotations

import torch
from torch import Tensor

from learner import losses
from learner.batch import TensorBatch
from learner.config import SacConfig
from learner.contrastive import ContrastiveObjective, Triplets, contrastive_loss
from learner.critic_stage import CriticStage
from learner.diagnostics import ActorDiagnostics
from learner.learner_group import LearnerGroup
from learner.network_step import NetworkStep
from learner.networks import ComposedWeights, FeatureNetwork, NetworkInput
from learner.squashed_gaussian import sample_action


class ActorStage:
    """Computes the actor's loss; nothing in it waits for the device."""

    def __init__(
        self,
        network: FeatureNetwork,
        step: NetworkStep,
        sac: SacConfig,
        contrast: ContrastiveObjective | None,
        action_mask: Tensor | None,
        generator: torch.Generator,
        group: LearnerGroup,
    ) -> None:
        """`action_mask` f32[T, A], 0 for components that a task's actions do not have."""
        self._network, self._step, self._contrast = network, step, contrast
        self._action_mask, self._generator, self._group = action_mask, generator, group
        self._log_std_bounds = sac.log_std_min, sac.log_std_max

    def sample(self, value_BD: Tensor, batch: TensorBatch) -> tuple[Tensor, Tensor]:  # noqa: N803 -- shape suffix
        """Draw actions f32[B, A] of the policy that the network's output describes; return also log pi, f32[B]."""
        mask = None if self._action_mask is None else self._action_mask[batch.task_id]
        return sample_action(value_BD, self._log_std_bounds, self._generator, mask, self._group)

    def update(
        self,
        batch: TensorBatch,
        inputs: NetworkInput,
        composed: ComposedWeights,
        critics: CriticStage,
        alpha: Tensor,
        keep: Tensor,
        triplets: Triplets | None,
        learner_step: Tensor,
    ) -> ActorDiagnostics:
        """Step the actor. `alpha` f32[T] are the temperatures, `keep` bool[T] the tasks that count."""
        weights = composed.leaves()
        output = self._network(weights, inputs)
        action, log_prob = self.sample(output.value_EBD[0], batch)
        row_losses = losses.actor_row_losses(log_prob, critics.value(inputs, action), alpha[batch.task_id])
        task_sums = losses.sum_by_task(row_losses, batch.task_id, len(alpha))
        num_rows, unique = batch.num_rows * self._group.size, output.unique_EBF
        if triplets is not None and unique is not None:
            unique = self._group.whole_rows(unique)  # triplets are of the whole batch
        loss = losses.masked_mean(task_sums, keep, num_rows)
        contrastive = contrastive_loss(self._contrast, unique, triplets, loss)
        whole_sums = task_sums.detach().clone()
        self._group.sum_([whole_sums])
        norm = self._step(weights, loss + contrastive, whole_sums, learner_step)
        whole_loss = losses.masked_mean(whole_sums, keep, num_rows)
        sizes = batch.group_sizes if triplets is None or self._group.is_alone else triplets.group_sizes
        unique = None if unique is None else unique[0].detach()
        margin = self._network.config.unique.triplet_margin
        parts = (whole_loss, contrastive.detach(), norm, log_prob.detach(), batch.task_id)
        return ActorDiagnostics(*parts, unique, sizes, triplets, margin)
