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
    ) -> None:
        """`action_mask` f32[T, A], 0 for components that a task's actions do not have."""
        self.network, self._step, self._sac, self._contrast = network, step, sac, contrast
        self._action_mask, self._generator = action_mask, generator
        self._log_std_bounds = sac.log_std_min, sac.log_std_max

    def sample(self, value_BD: Tensor, batch: TensorBatch) -> tuple[Tensor, Tensor]:  # noqa: N803 -- shape suffix
        """Draw actions f32[B, A] of the policy that the network's output describes; return also log pi, f32[B]."""
        mask = None if self._action_mask is None else self._action_mask[batch.task_id]
        return sample_action(value_BD, self._log_std_bounds, self._generator, mask)

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
        output = self.network(weights, inputs)
        action, log_prob = self.sample(output.value_EBD[0], batch)
        row_losses = losses.actor_row_losses(log_prob, critics.value(inputs, action), alpha[batch.task_id])
        task_sums = losses.sum_by_task(row_losses, batch.task_id, len(alpha))
        loss = losses.masked_mean(task_sums, keep, batch.num_rows)
        contrastive = contrastive_loss(self._contrast, output.unique_EBF, triplets, loss)
        norm = self._step(weights, loss + contrastive, task_sums.detach(), learner_step)
        unique = None if output.unique_EBF is None else output.unique_EBF[0].detach()
        margin = self.network.config.unique.triplet_margin
        parts = (loss.detach(), contrastive.detach(), norm, log_prob.detach())
        return ActorDiagnostics(*parts, unique, batch.group_sizes, triplets, margin)
