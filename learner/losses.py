"""The losses of multi-task SAC, row by row, and their sums over tasks."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

CriticValue = Literal["minimum", "mean"]


def critic_value(value: Tensor, kind: CriticValue) -> Tensor:
    """Return the minimum over the critics or their mean, f32[B], of f32[E, B]."""
    return value.amin(dim=0) if kind == "minimum" else value.mean(dim=0)


def critic_target(
    reward: Tensor,
    terminated: Tensor,
    next_value: Tensor,
    next_log_prob: Tensor,
    alpha: Tensor,
    discount: float | Tensor,
) -> Tensor:
    """Return y = r + discount (1 - terminated) (Q'(s', a') - alpha log pi(a' | s')), f32[B].

    `next_value` is Q', f32[B]; `alpha` f32[B], the temperature of each row's task; `discount` is gamma, or
    gamma^steps f32[B] of rows that sum up several steps. A time limit does not stop the bootstrap.
    """
    soft_value = next_value - alpha * next_log_prob
    return reward + discount * (~terminated) * soft_value


def critic_row_losses(td_error: Tensor, is_weight: Tensor) -> Tensor:
    """Return w_i sum_e (y - Q_e)^2, f32[B], of f32[E, B]: one squared error per critic."""
    return is_weight * td_error.square().sum(dim=0)


def actor_row_losses(log_prob: Tensor, value: Tensor, alpha: Tensor) -> Tensor:
    """Return alpha log pi(a | s) - Q(s, a), f32[B]; `value` is Q, f32[B]."""
    return alpha * log_prob - value


def temperature_row_losses(log_alpha: Tensor, log_prob: Tensor, target_entropy: Tensor | float) -> Tensor:
    """Return -log alpha (log pi(a | s) + target entropy), f32[B]; no gradient reaches the policy."""
    return -log_alpha * (log_prob.detach() + target_entropy)


def sum_by_task(row_losses: Tensor, task_id: Tensor, num_tasks: int) -> Tensor:
    """Sum the losses of each task's rows, f32[T]."""
    return row_losses.new_zeros(num_tasks).index_add(0, task_id, row_losses)


def masked_mean(task_sums: Tensor, keep: Tensor, num_rows: int) -> Tensor:
    """Return the batch mean with masked tasks left out of the sum but not of the count: the others' share stays.

    torch.where, not a product: 0 * inf would be nan.
    """
    return torch.where(keep, task_sums, 0.0).sum() / num_rows
