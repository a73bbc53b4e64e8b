"""Losses against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from learner import losses


def test_critic_target() -> None:
    """Row 0 bootstraps, row 1 is terminated, row 2 has the temperature of another task."""
    target = losses.critic_target(
        reward=torch.tensor([1.0, 2.0, 0.0]),
        terminated=torch.tensor([False, True, False]),
        next_value=torch.tensor([8.0, 10.0, 4.0]),
        next_log_prob=torch.tensor([-2.0, -2.0, 3.0]),
        alpha=torch.tensor([0.5, 0.5, 0.1]),
        discount=0.9,
    )
    expected = [1.0 + 0.9 * (8.0 + 0.5 * 2.0), 2.0, 0.9 * (4.0 - 0.1 * 3.0)]
    torch.testing.assert_close(target, torch.tensor(expected))


def test_critic_target_of_several_steps() -> None:
    """Each row has the discount of its own steps."""
    zeros, values = torch.zeros(2), torch.tensor([8.0, 10.0])
    target = losses.critic_target(zeros, zeros > 0, values, zeros, zeros, torch.tensor([0.9, 0.81]))
    torch.testing.assert_close(target, torch.tensor([7.2, 8.1]))


def test_critic_value() -> None:
    value = torch.tensor([[10.0, 10.0, 4.0], [8.0, 12.0, 6.0]])
    torch.testing.assert_close(losses.critic_value(value, "minimum"), torch.tensor([8.0, 10.0, 4.0]))
    torch.testing.assert_close(losses.critic_value(value, "mean"), torch.tensor([9.0, 11.0, 5.0]))


def test_critic_row_losses() -> None:
    """Both critics' squared errors, not their mean; the weight multiplies the loss, not the error."""
    td_error = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    row = losses.critic_row_losses(td_error, torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(row, torch.tensor([1.0 + 9.0, 0.25 * 4.0]))


def test_critic_gradient() -> None:
    """d/dQ_e of w (y - Q_e)^2 = -2 w (y - Q_e)."""
    value = torch.tensor([[1.0, 5.0]], requires_grad=True)
    losses.critic_row_losses(torch.tensor([3.0, 4.0]) - value, torch.tensor([0.5, 1.0])).sum().backward()
    torch.testing.assert_close(value.grad, torch.tensor([[-2.0, 2.0]]))


def test_actor_row_losses() -> None:
    log_prob = torch.tensor([-1.0, 2.0], requires_grad=True)
    value = torch.tensor([[3.0, 1.0], [2.0, 5.0]], requires_grad=True)
    smaller = losses.critic_value(value, "minimum")
    row = losses.actor_row_losses(log_prob, smaller, torch.tensor([0.5, 0.1]))
    torch.testing.assert_close(row, torch.tensor([-0.5 - 2.0, 0.2 - 1.0]))
    row.sum().backward()
    torch.testing.assert_close(log_prob.grad, torch.tensor([0.5, 0.1]))
    torch.testing.assert_close(
        value.grad, torch.tensor([[0.0, -1.0], [-1.0, 0.0]])
    )  # through the smaller alone


@pytest.mark.parametrize(
    ("log_prob", "grad"),
    [(1.0, 1.0), (2.0, 0.0), (5.0, -3.0)],
    ids=["too much entropy: alpha falls", "at the target", "too little: alpha rises"],
)
def test_temperature_gradient(log_prob: float, grad: float) -> None:
    """Target entropy -2: the entropy -log_prob is above it for log_prob < 2."""
    log_alpha = torch.tensor([-0.5], requires_grad=True)
    source = torch.tensor([log_prob], requires_grad=True)
    losses.temperature_row_losses(log_alpha, source, target_entropy=-2.0).sum().backward()
    torch.testing.assert_close(log_alpha.grad, torch.tensor([grad]))
    assert source.grad is None


def test_sum_by_task() -> None:
    sums = losses.sum_by_task(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 0, 2]), 3)
    torch.testing.assert_close(sums, torch.tensor([3.0, 0.0, 4.0]))


def test_masked_mean_leaves_the_others_share() -> None:
    sums = torch.tensor([3.0, 1e9, 6.0], requires_grad=True)
    loss = losses.masked_mean(sums, torch.tensor([True, False, True]), num_rows=10)
    torch.testing.assert_close(loss, torch.tensor(0.9))
    loss.backward()
    torch.testing.assert_close(sums.grad, torch.tensor([0.1, 0.0, 0.1]))


def test_masked_mean_drops_infinity() -> None:
    loss = losses.masked_mean(torch.tensor([3.0, math.inf]), torch.tensor([True, False]), num_rows=3)
    assert loss.item() == 1.0
