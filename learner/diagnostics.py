"""The diagnostics of an update; metrics are computed only when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from learner.contrastive import Triplets, active_share
from learner.extreme_loss import ExtremeCounts
from learner.feature_health import unique_feature_health
from learner.losses import sum_by_task

GroupSizes = tuple[int, ...] | Tensor  # rows of each task; i64[T] where the batch was drawn on the device


def on_host(sizes: GroupSizes) -> list[int]:
    """Return the rows of each task; waits for the device if they are there."""
    return sizes.tolist() if isinstance(sizes, Tensor) else list(sizes)


class CriticDiagnostics(NamedTuple):
    """The critics' step."""

    loss: Tensor  # f32[], without the contrastive loss
    contrastive_loss: Tensor  # f32[], weighted, both critics
    gradient_norm: Tensor  # f32[], before clipping
    value: Tensor  # f32[E, B]
    td_error: Tensor  # f32[B], signed, mean of both critics
    task_losses: Tensor  # f32[T], mean over the rows of each task


class ActorDiagnostics(NamedTuple):
    """The actor's step."""

    loss: Tensor
    contrastive_loss: Tensor
    gradient_norm: Tensor
    log_prob: Tensor  # f32[B]
    task_id: Tensor  # i64[B]
    unique: Tensor | None  # f32[B, F]
    group_sizes: GroupSizes  # in this step's batch
    triplets: Triplets | None  # None without a contrastive loss
    triplet_margin: float

    def metrics(self) -> dict[str, Tensor]:
        """Return the actor's values of `train/...` by name."""
        values = {
            "train/actor_loss": self.loss,
            "train/actor_grad_norm": self.gradient_norm,
            "train/entropy": -self.log_prob.mean(),
        }
        if self.unique is not None:
            values |= unique_feature_health(self.unique, on_host(self.group_sizes))
            if self.triplets is not None:
                active = active_share(self.unique[None], self.triplets, self.triplet_margin)
                values["train/contrastive_active"] = active
        return values

    def entropies(self, task_names: Sequence[str]) -> dict[str, float]:
        """Return the entropy of the policy on the rows of each task that has any, by the name of the metric."""
        sizes = torch.bincount(self.task_id, minlength=len(task_names))
        sums = sum_by_task(-self.log_prob, self.task_id, len(task_names))
        return {
            f"train/entropy/{name}": value
            for name, value, size in zip(task_names, (sums / sizes).tolist(), sizes.tolist(), strict=True)
            if size
        }


class UpdateResult(NamedTuple):
    """The result of an update, on the learner's device; reading a tensor waits for it."""

    priorities: Tensor  # f32[B], |td_error|; the replay adds its own epsilon
    group_sizes: GroupSizes
    critic: CriticDiagnostics
    actor: ActorDiagnostics | None  # of the newest update that moved the actor; None before the first
    alpha: Tensor  # f32[T], as used in this update
    extreme: ExtremeCounts
    reward_factors: Tensor | None  # f32[T]; None where tasks have no factor of their own

    def metrics(self, task_names: Sequence[str]) -> dict[str, float]:
        """Return the values of `train/...` by name; waits for the device.

        train/contrastive_active: share of the update's triplets that do not keep the margin, whatever the objective.
        """
        entropies: dict[str, float] = {}
        scalars = {
            "train/critic_loss": self.critic.loss,
            "train/triplet_loss": self.critic.contrastive_loss,
            "train/critic_grad_norm": self.critic.gradient_norm,
            "train/q_mean": self.critic.value.mean(),
            "train/q_max": self.critic.value.max(),
            "train/extreme_resets": self.extreme.resets.sum(),
        }
        if self.actor is not None:
            scalars |= self.actor.metrics()
            entropies = self.actor.entropies(task_names)
            scalars["train/triplet_loss"] = self.critic.contrastive_loss + self.actor.contrastive_loss
        values = {name: float(value) for name, value in scalars.items()}
        return values | entropies | self._task_metrics(task_names) | self._extreme_metrics(task_names)

    def _task_metrics(self, task_names: Sequence[str]) -> dict[str, float]:
        sizes = on_host(self.group_sizes)
        per_task = self.priorities.split(sizes)
        td_abs = torch.stack([part.mean() for part in per_task])  # nan: no rows
        columns = {"alpha": self.alpha, "td_abs": td_abs, "critic_loss": self.critic.task_losses}
        if self.reward_factors is not None:
            columns["reward_factor"] = self.reward_factors
        return {
            f"train/{column}/{name}": value
            for column, tensor in columns.items()
            for name, value, size in zip(task_names, tensor.tolist(), sizes, strict=True)
            if size
        }

    def _extreme_metrics(self, task_names: Sequence[str]) -> dict[str, float]:
        """Return running counts of updates since the start, whether the batch has rows of the task or not."""
        columns = {"extreme_masked": self.extreme.masked, "extreme_updates": self.extreme.extreme}
        return {
            f"train/{column}/{name}": float(count)
            for column, counts in columns.items()
            for name, count in zip(task_names, counts.tolist(), strict=True)
        }
