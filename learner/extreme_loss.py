"""The extreme-loss rule of PaCo: a task whose loss explodes is reset to a mixture of the others."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from learner.config import ExtremeLossConfig
from learner.learner_group import ALONE, LearnerGroup
from learner.networks import FeatureNetwork


class Verdict(NamedTuple):
    """The judgement of one update. A task without rows in the batch is neither healthy nor masked."""

    healthy: Tensor  # bool[T], its loss is not extreme
    masked: Tensor  # bool[T], left out of the losses of this update


LEAST_THRESHOLD = 4.0  # squared rewards: twice what the two critics lose while they are still zero


class ExtremeCounts(NamedTuple):
    """Running counts of each task since the start, i64[T]."""

    extreme: Tensor  # updates in which its loss was extreme, masked or not
    masked: Tensor  # updates that left it out
    resets: Tensor  # times that its w was drawn anew


class ExtremeLossRule:
    """Judges the tasks' critic losses; its state stays on the learner's device, and nothing waits for it.

        extreme = loss > max(relative_threshold / (1 - gamma)^2, 4) * largest_step^2
                  with scale none: loss > threshold
        masked  = extreme, and masked fewer than max_consecutive times since the loss was last healthy

    `largest_step` is the largest |reward| + alpha * (greatest entropy) of the task so far: what one step adds
    at most to a soft value. The bound on maskings lets a task whose loss stays extreme learn again, which is
    the one way back where no w can be drawn anew.
    """

    def __init__(
        self,
        config: ExtremeLossConfig,
        gamma: float,
        action_components: Tensor,
        group: LearnerGroup = ALONE,
    ) -> None:
        """`action_components` i64[T]; their device is the learner's."""
        self._config, self._group = config, group
        self._relative_threshold = max(config.relative_threshold / (1 - gamma) ** 2, LEAST_THRESHOLD)
        self._most_entropy = action_components * math.log(2)  # of the uniform distribution on [-1, 1]^A
        self.largest_step = torch.zeros_like(self._most_entropy)  # f32[T]
        self.masked_in_a_row = torch.zeros_like(action_components)  # i64[T]
        self.counts = ExtremeCounts(*(torch.zeros_like(action_components) for _ in ExtremeCounts._fields))

    @property
    def is_enabled(self) -> bool:
        """Whether any task can be masked."""
        return self._config.enabled

    @torch.no_grad()
    def observe(self, reward: Tensor, task_id: Tensor, alpha: Tensor) -> None:
        """Take in the scaled rewards f32[B] of a batch and the tasks' temperatures f32[T]."""
        if not self._config.enabled or self._config.scale == "none":
            return  # nothing reads it
        largest = torch.zeros_like(self.largest_step).scatter_reduce(0, task_id, reward.abs(), "amax")
        self._group.max_(largest)
        torch.maximum(self.largest_step, largest + alpha * self._most_entropy, out=self.largest_step)

    def judge(self, task_losses: Tensor, group_sizes: Tensor) -> Verdict:
        """Judge the mean critic losses f32[T] of an update; `group_sizes` are the rows of each task."""
        if not self._config.enabled:
            return Verdict(torch.ones_like(task_losses, dtype=torch.bool), torch.zeros_like(task_losses) > 0)
        has_rows = group_sizes > 0
        extreme = (task_losses > self._limit()) & has_rows
        healthy = ~extreme & has_rows
        masked = extreme & (self.masked_in_a_row < self._config.max_consecutive)
        self.masked_in_a_row.add_(masked).masked_fill_(healthy, 0)
        self.counts.extreme.add_(extreme)
        self.counts.masked.add_(masked)
        return Verdict(healthy, masked)

    def _limit(self) -> Tensor | float:
        if self._config.scale == "none":
            return self._config.threshold
        return self._relative_threshold * self.largest_step.square()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all but the resets, which a checkpoint keeps under their older name."""
        return {
            "largest_step": self.largest_step,
            "masked_in_a_row": self.masked_in_a_row,
            "extreme": self.counts.extreme,
            "masked": self.counts.masked,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state; an empty one, of a run made before this state existed, leaves all at zero."""
        for name, tensor in self.state_dict().items():
            if state:
                tensor.copy_(state[name])


def draw_interpolation(healthy: Tensor, generator: torch.Generator) -> Tensor:
    """Draw random convex weights over the healthy tasks for every task, f32[T, T]; zeros if none is healthy."""
    weights = torch.rand(2 * healthy.shape, generator=generator, device=healthy.device) * healthy
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)


class ExtremeResets:
    """Gives masked tasks a new w in the actor, the critics and the target critics: a mixture of the healthy ones'."""

    def __init__(
        self,
        rule: ExtremeLossRule,
        actor: tuple[FeatureNetwork, torch.optim.Adam],
        critic: tuple[FeatureNetwork, torch.optim.Adam],
        target_critic: FeatureNetwork,
        generator: torch.Generator,
        reads_host: bool,
    ) -> None:
        """Take networks with their optimizers; `reads_host`: whether to look if there is anything to reset."""
        self._counts, self._generator, self._reads_host = rule.counts, generator, reads_host
        self._actor, self._critic, self._target_critic = actor, critic, target_critic
        self._is_enabled = rule.is_enabled and actor[0].mix is not None

    def apply(self, verdict: Verdict) -> None:
        """Reset the tasks that an update has left out."""
        if not self._is_enabled:
            return
        reset = verdict.masked & verdict.healthy.any()  # with no healthy task there is nothing to mix
        if self._reads_host and not reset.any():
            return  # reading costs nothing here, while on a GPU it would wait
        self._counts.resets.add_(reset)
        interpolation = draw_interpolation(verdict.healthy, self._generator)
        reset_mix(*self._actor, reset, interpolation)
        reset_mix(*self._critic, reset, interpolation, self._target_critic)


@torch.no_grad()
def reset_mix(
    network: FeatureNetwork,
    optimizer: torch.optim.Adam,
    reset: Tensor,
    interpolation: Tensor,
    target: FeatureNetwork | None = None,
) -> None:
    """Give the tasks of `reset` bool[T] a new w, zero its optimizer moments and copy it into the target network.

    With the old moments the next steps would move the new w where the old one was going.
    """
    assert network.mix is not None, "only a w can be drawn anew"
    rows = reset[:, None]  # over [E, T, K]
    network.mix.copy_(torch.where(rows, interpolation @ network.mix, network.mix))
    network.normalize_mix()
    moments = optimizer.state.get(network.mix, {})
    for name in ("exp_avg", "exp_avg_sq"):
        if name in moments:
            moments[name].masked_fill_(rows, 0.0)
    if target is not None and target.mix is not None:
        target.mix.copy_(torch.where(rows, network.mix, target.mix))
