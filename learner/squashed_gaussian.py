"""The tanh-squashed Gaussian policy: sampling and log probability."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from learner.config import SacConfig
from learner.learner_group import ALONE, LearnerGroup
from replay_service.types import TransitionSpec


def action_components(spec: TransitionSpec, device: torch.device) -> Tensor:
    """Return i64[T], how many components the actions of each task have."""
    return torch.tensor(spec.action_dims or (spec.action_dim,) * spec.num_tasks, device=device)


def action_mask(spec: TransitionSpec, device: torch.device) -> Tensor | None:
    """Return f32[T, A], 0 for components that a task's actions do not have; None where no action is padded."""
    own = action_components(spec, device)
    if not (own < spec.action_dim).any():
        return None
    return (torch.arange(spec.action_dim, device=device) < own[:, None]).float()


def sample_action(
    output: Tensor,
    log_std_bounds: tuple[float, float],
    generator: torch.Generator,
    mask: Tensor | None = None,
    group: LearnerGroup = ALONE,
) -> tuple[Tensor, Tensor]:
    """Draw a = tanh(mean + std * noise) by reparametrisation.

    Args:
        output: f32[B, 2 A], mean and log standard deviation.
        mask: f32[B, A], 0 for components that the row's task does not have: the action is 0 there, and they
            count neither in its probability nor in its gradient.
        group: draws the noise of the whole batch, of which these are the rows of one learner.

    Returns:
        Action f32[B, A] and log pi(a | s) f32[B].
    """
    mean, log_std = output.chunk(2, dim=1)
    log_std = log_std.clamp(*log_std_bounds)
    shape = (group.size * mean.shape[0], mean.shape[1])
    noise = group.own_rows(torch.randn(shape, generator=generator, device=mean.device))
    raw = torch.addcmul(mean, log_std.exp(), noise)
    if mask is None:
        return raw.tanh(), squashed_log_prob(raw, noise, log_std)
    return raw.tanh() * mask, squashed_log_prob(raw, noise, log_std, mask)


def squashed_log_prob(raw: Tensor, noise: Tensor, log_std: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return log pi of tanh(raw), raw = mean + std * noise: log N(raw) - sum log(1 - tanh(raw)^2), f32[B].

    1 - tanh(u)^2 loses all digits for large u; log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)) does not.
    """
    log_normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    log_slope = 2 * (math.log(2) - raw - F.softplus(-2 * raw))
    components = log_normal - log_slope
    return (components if mask is None else components * mask).sum(dim=1)


def target_entropy(sac: SacConfig, spec: TransitionSpec, device: torch.device) -> Tensor:
    """Return f32[T], the entropy that alpha holds."""
    if sac.target_entropy is not None:
        return torch.full((spec.num_tasks,), sac.target_entropy, device=device)
    return sac.target_entropy_per_component * action_components(spec, device).float()
