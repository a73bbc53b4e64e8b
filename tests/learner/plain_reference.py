"""An independent plain implementation of the networks and losses: one row, one member, explicit sums over K."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from learner.networks import FeatureNetwork


def row_output(
    network: FeatureNetwork, member: int, obs: Tensor, action: Tensor | None, task: int
) -> tuple[Tensor, Tensor | None]:
    """Output f32[D] and unique features f32[F] of one row."""
    config, features, unique = network.config, [], None
    norm = network.layout.layer_norm
    state_action = obs if action is None else torch.cat([obs, action])
    if config.shared.enabled:
        x = state_action
        if config.shared.task_input == "one_hot":
            x = torch.cat([x, torch.eye(network.layout.num_tasks)[task]])
        for pool in network.shared:
            x = _relu(_linear(x, *_mixed(pool[member], _trunk_mix(network, member, task))), norm)
        features.append(x)
    if config.unique.enabled:
        assert network.task_vector is not None
        x = torch.cat([obs if config.shared.enabled else state_action, network.task_vector[member, task]])
        for i, pool in enumerate(network.unique):
            x = _linear(x, pool[member, 0, :-1], pool[member, 0, -1])
            x = _relu(x, norm) if i + 1 < len(network.unique) else x
        unique = x / x.pow(2).sum().sqrt()
        features.append(unique)
    joined = torch.cat(features)
    return _linear(joined, *_mixed(network.head[member], _head_mix(network, member, task))), unique


def _trunk_mix(network: FeatureNetwork, member: int, task: int) -> Tensor:
    return torch.ones(1) if network.mix is None else network.mix[member, task]


def _head_mix(network: FeatureNetwork, member: int, task: int) -> Tensor:
    if network.config.head == "per_task":
        return torch.eye(network.layout.num_tasks)[task]
    return _trunk_mix(network, member, task) if network.config.head == "composed" else torch.ones(1)


def _mixed(pool: Tensor, mix: Tensor) -> tuple[Tensor, Tensor]:
    """W_tau = sum_k w_k W_k and b_tau = sum_k w_k b_k."""
    weight = sum(mix[k] * pool[k, :-1] for k in range(len(mix)))
    bias = sum(mix[k] * pool[k, -1] for k in range(len(mix)))
    assert isinstance(weight, Tensor) and isinstance(bias, Tensor)
    return weight, bias


def _linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (x[:, None] * weight).sum(dim=0) + bias


def _relu(x: Tensor, layer_norm: bool) -> Tensor:
    if layer_norm:
        x = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()
    return torch.where(x > 0, x, torch.zeros_like(x))


def row_action(output: Tensor, noise: Tensor, bounds: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """The tanh-squashed action and its log probability, from the textbook formula."""
    mean, log_std = output.chunk(2)
    std = log_std.clamp(*bounds).exp()
    raw = mean + std * noise
    density = -((raw - mean) ** 2) / (2 * std**2) - std.log() - 0.5 * math.log(2 * math.pi)
    return torch.tanh(raw), (density - torch.log(1 - torch.tanh(raw) ** 2)).sum()


def plain_triplet_loss(unique: list[Tensor], triples: list[tuple[int, int, int]], margin: float) -> Tensor:
    def distance(i: int, j: int) -> Tensor:
        return (unique[i] - unique[j]).pow(2).sum().sqrt()

    terms = [torch.relu(margin + distance(a, p) - distance(a, n)) for a, p, n in triples]
    return torch.stack(terms).mean()
