"""The scale of rewards: one factor for all tasks, and one of each task's own that brings their values together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from learner.config import TaskRewardScaleConfig
from learner.learner_group import ALONE, LearnerGroup

_RATE = 0.01  # of the running mean per update: about a hundred batches count
_NO_REWARD = 1e-8  # below it a task has shown no reward that a factor could be chosen by


class RewardScale:
    """Scales rewards by `factor * task factor`; its state stays on the learner's device, and nothing waits for it.

        task factor = clip(reference / m_tau, 1 / max_factor, max_factor)

    m_tau is the largest value so far of the running mean of the task's |reward| over drawn rows. A task that
    fails earns 10 to 100 times less per step in Meta-World than one that is solved; in networks that tasks share,
    its gradients would be as much smaller. The largest mean, not the newest: a scale that rises again whenever a
    policy gets worse would move the targets without end. Ours, after ARS (Cho et al., ICML 2025), which takes the
    mean over the whole replay whenever it resets the networks, and BRC (arXiv 2505.23150), which takes the largest
    return of the task.
    """

    def __init__(
        self,
        config: TaskRewardScaleConfig,
        factor: float,
        num_tasks: int,
        device: torch.device,
        group: LearnerGroup = ALONE,
    ) -> None:
        self._config, self._factor, self._group = config, factor, group
        self._mean = torch.zeros(num_tasks, device=device)  # f32[T]
        self._weight = torch.zeros(num_tasks, device=device)  # f32[T], of what the mean holds, towards 1
        self._largest = torch.zeros(num_tasks, device=device)  # f32[T]

    @torch.no_grad()
    def __call__(self, reward: Tensor, task_id: Tensor, window: Tensor | float = 1.0) -> Tensor:
        """Take in the rewards f32[B] of a batch and return them scaled; `window` f32[B] as TensorBatch has it."""
        if not self._config.enabled:
            return self._factor * reward
        self._observe(reward.abs() / window, task_id)
        return (self._factor * self._task_factors())[task_id] * reward

    @property
    def task_factors(self) -> Tensor | None:
        """Each task's own factor, f32[T], 1 for one without a reward so far; None where tasks have none."""
        return self._task_factors() if self._config.enabled else None

    def _task_factors(self) -> Tensor:
        most = self._config.max_factor
        factors = (self._config.reference / self._largest.clamp(min=_NO_REWARD)).clamp(1 / most, most)
        return torch.where(self._largest > _NO_REWARD, factors, 1.0)

    def _observe(self, size: Tensor, task_id: Tensor) -> None:
        """Move the running mean of every task that has rows in the batch."""
        zeros = torch.zeros_like(self._mean)
        rows = zeros.index_add(0, task_id, torch.ones_like(size))
        sums = zeros.index_add(0, task_id, size)
        self._group.sum_([rows, sums])
        mean = sums / rows.clamp(min=1)
        rate = _RATE * (rows > 0)
        self._mean.add_(rate * (mean - self._mean))
        self._weight.add_(rate * (1 - self._weight))
        unbiased = self._mean / self._weight.clamp(min=_RATE)
        torch.maximum(self._largest, unbiased * (rows > 0), out=self._largest)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the means."""
        return {"mean": self._mean, "weight": self._weight, "largest": self._largest}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state; an empty one, of a run made before this state existed, leaves all at zero."""
        for name, tensor in self.state_dict().items():
            if state:
                tensor.copy_(state[name])
