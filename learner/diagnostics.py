"""The diagnostics of an update; metrics are computed only when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from learner.extreme_loss import ExtremeCounts
from learner.networks import FeatureNetwork


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
    unique: Tensor | None  # f32[B, F]


class UpdateResult(NamedTuple):
    """The result of an update, on the learner's device; reading a tensor waits for it."""

    priorities: Tensor  # f32[B], |td_error|; the replay adds its own epsilon
    group_sizes: tuple[int, ...]
    critic: CriticDiagnostics
    actor: ActorDiagnostics
    alpha: Tensor  # f32[T], as used in this update
    extreme: ExtremeCounts

    def metrics(self, task_names: Sequence[str]) -> dict[str, float]:
        """Return the values of `train/...` by name; waits for the device."""
        scalars = {
            "train/critic_loss": self.critic.loss,
            "train/actor_loss": self.actor.loss,
            "train/triplet_loss": self.critic.contrastive_loss + self.actor.contrastive_loss,
            "train/critic_grad_norm": self.critic.gradient_norm,
            "train/actor_grad_norm": self.actor.gradient_norm,
            "train/q_mean": self.critic.value.mean(),
            "train/q_max": self.critic.value.max(),
            "train/entropy": -self.actor.log_prob.mean(),
            "train/extreme_resets": self.extreme.resets.sum(),
        }
        if self.actor.unique is not None:
            scalars |= unique_feature_health(self.actor.unique, self.group_sizes)
        values = {name: float(value) for name, value in scalars.items()}
        return values | self._task_metrics(task_names) | self._extreme_metrics(task_names)

    def _task_metrics(self, task_names: Sequence[str]) -> dict[str, float]:
        per_task = self.priorities.split(self.group_sizes)
        td_abs = torch.stack([part.mean() for part in per_task])  # nan: no rows
        columns = {"alpha": self.alpha, "td_abs": td_abs, "critic_loss": self.critic.task_losses}
        return {
            f"train/{column}/{name}": value
            for column, tensor in columns.items()
            for name, value, size in zip(task_names, tensor.tolist(), self.group_sizes, strict=True)
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


def unique_feature_health(unique: Tensor, group_sizes: tuple[int, ...]) -> dict[str, Tensor]:
    """Return the signs of collapsed unique features, f32[B, F] of length one: both values near their minimum.

    train/unique_effective_rank: exp(entropy of the normalised eigenvalues of the covariance), 1 to F.
    train/unique_task_variance: variance of the tasks' mean features, 0 to 1.
    """
    centered = unique - unique.mean(dim=0)
    spectrum = torch.linalg.svdvals(centered).square()
    share = spectrum / spectrum.sum().clamp(min=1e-12)
    means = torch.stack(
        [part.mean(dim=0) for part, size in zip(unique.split(group_sizes), group_sizes, strict=True) if size]
    )
    return {
        "train/unique_effective_rank": torch.special.entr(share).sum().exp(),
        "train/unique_task_variance": means.var(dim=0, correction=0).sum(),
    }


def unique_gradient_share(actor: FeatureNetwork) -> dict[str, float]:
    """Return the unique branch's share of the norm of the actor's newest gradient; waits for the device.

    Empty without a unique branch, and before the first update.
    """
    if actor.task_vector is None or actor.task_vector.grad is None:
        return {}
    own = torch.stack([_grad_norm(p) for p in (actor.task_vector, *actor.unique)])
    whole = torch.stack([_grad_norm(p) for p in actor.parameters()])
    return {"train/unique_gradient_share": float(own.norm() / whole.norm().clamp(min=1e-30))}


def _grad_norm(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None, "every parameter has a gradient after an update"
    return parameter.grad.norm()
