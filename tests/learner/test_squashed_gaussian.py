"""The squashed Gaussian against torch.distributions, and where the textbook formula breaks down."""

from __future__ import annotations

import torch
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from learner.squashed_gaussian import sample_action, squashed_log_prob

BOUNDS = (-10.0, 2.0)


def test_log_prob_equals_torch_distributions() -> None:
    output = 0.3 * torch.randn(
        50, 6, generator=torch.Generator().manual_seed(0)
    )  # or the reference saturates
    action, log_prob = sample_action(output, BOUNDS, torch.Generator().manual_seed(1))
    mean, log_std = output.chunk(2, dim=1)
    reference = TransformedDistribution(Normal(mean, log_std.exp()), TanhTransform())
    torch.testing.assert_close(log_prob, reference.log_prob(action).sum(1), rtol=1e-4, atol=1e-4)


def test_log_std_is_bounded() -> None:
    """Beyond the bounds the noise is as at the bounds: exp(-10) and exp(2)."""
    output = torch.tensor([[0.0, 0.3, -50.0, 50.0]])
    action, log_prob = sample_action(output, BOUNDS, torch.Generator().manual_seed(0))
    noise = torch.randn(1, 2, generator=torch.Generator().manual_seed(0))
    std = torch.tensor([[-10.0, 2.0]]).exp()
    torch.testing.assert_close(action, torch.tanh(output[:, :2] + std * noise))
    assert log_prob.isfinite().all()


def test_saturated_actions_keep_a_finite_log_prob_and_gradient() -> None:
    """tanh(40) is 1 in float32 and log(1 - 1) is minus infinity."""
    raw = torch.tensor([[40.0, -40.0]], requires_grad=True)
    log_prob = squashed_log_prob(raw, torch.zeros(1, 2), torch.zeros(1, 2))
    log_prob.sum().backward()
    expected = 2 * (2 * 40.0 - 2 * torch.log(torch.tensor(2.0)) - 0.5 * torch.log(2 * torch.tensor(torch.pi)))
    torch.testing.assert_close(log_prob[0], expected)
    torch.testing.assert_close(raw.grad, torch.tensor([[2.0, -2.0]]))


def test_noise_comes_from_the_given_generator_alone() -> None:
    output = torch.zeros(4, 4)
    torch.manual_seed(0)
    first, _ = sample_action(output, BOUNDS, torch.Generator().manual_seed(3))
    torch.manual_seed(1)
    second, _ = sample_action(output, BOUNDS, torch.Generator().manual_seed(3))
    assert torch.equal(first, second)


def test_masked_components_are_zero_and_count_for_nothing() -> None:
    output = torch.randn(3, 6, generator=torch.Generator().manual_seed(2)).requires_grad_()
    mask = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    action, log_prob = sample_action(output, BOUNDS, torch.Generator().manual_seed(5), mask)
    whole, _ = sample_action(output, BOUNDS, torch.Generator().manual_seed(5))
    torch.testing.assert_close(action, whole * mask)
    noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(5))
    for row, own in enumerate((3, 2, 1)):
        mean, log_std = (part[row : row + 1, :own] for part in output.chunk(2, dim=1))
        raw = mean + log_std.exp() * noise[row : row + 1, :own]
        expected = squashed_log_prob(raw, noise[row : row + 1, :own], log_std)
        torch.testing.assert_close(log_prob[row : row + 1], expected)
    (action.sum() + log_prob.sum()).backward()
    assert output.grad is not None
    for half in output.grad.chunk(2, dim=1):
        assert (half[mask == 0] == 0).all() and (half[mask == 1] != 0).all()
