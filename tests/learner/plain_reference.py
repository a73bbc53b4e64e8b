"""An independent plain implementation of the networks and losses: one row, one member, explicit sums over K."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from learner.network_config import UniqueConfig
from learner.networks import FeatureNetwork, NetworkInput


def row_output(
    network: FeatureNetwork, member: int, inputs: NetworkInput, row: int, action: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Output f32[D] and unique features f32[F] of one row."""
    obs, unique_obs, task = inputs.obs[row], inputs.unique_obs[row], int(inputs.task_id[row])
    config, features, unique = network.config, [], None
    norm = network.layout.layer_norm
    if config.shared.enabled:
        x = obs if action is None else torch.cat([obs, action])
        if config.shared.task_input == "one_hot":
            x = torch.cat([x, torch.eye(network.layout.num_tasks)[task]])
        for pool in network.shared:
            x = _relu(_linear(x, *_mixed(pool[member], _trunk_mix(network, member, task))), norm)
        features.append(x)
    if config.unique.enabled:
        x = unique_obs
        if action is not None and not config.shared.enabled:
            x = torch.cat([x, action])
        if network.task_vector is not None:
            x = torch.cat([x, network.task_vector[member, task]])
        for i, pool in enumerate(network.unique):
            x = _linear(x, pool[member, 0, :-1], pool[member, 0, -1])
            x = _relu(x, norm) if i + 1 < len(network.unique) else x
        unique = x / x.pow(2).sum().sqrt()
        features.append(unique)
    joined = torch.cat(features)
    return _linear(joined, *_mixed(network.head[member], _head_mix(network, member, task))), unique


def _trunk_mix(network: FeatureNetwork, member: int, task: int) -> Tensor:
    """w, or w / |w|: then its gradient has no part along w."""
    if network.mix is None:
        return torch.ones(1)
    mix = network.mix[member, task]
    return mix / mix.pow(2).sum().sqrt() if network.config.shared.mix_norm == "unit" else mix


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


def plain_contrastive_loss(
    unique: list[Tensor], tasks: list[int], triples: list[tuple[int, int, int]], config: UniqueConfig
) -> Tensor:
    """The weighted loss of one member, anchor by anchor."""
    losses = {
        "triplet": lambda: [
            _triplet_term(_distance(unique, a, [p]), _distance(unique, a, [n]), config) for a, p, n in triples
        ],
        "hard_triplet": lambda: [
            _triplet_term(_distance(unique, a, same), _distance(unique, a, other), config)
            for a, same, other in _anchors(tasks)
        ],
        "supcon": lambda: [
            torch.stack([_minus_log_share(unique, a, p, same + other, config) for p in same]).mean()
            for a, same, other in _anchors(tasks)
        ],
        "infonce": lambda: [
            _minus_log_share(
                unique, a, p, [p, *(i for i, task in enumerate(tasks) if task != tasks[a])], config
            )
            for a, p, _ in triples
        ],
    }
    loss = torch.stack(losses[config.objective]()).mean()
    if config.within_variance:
        loss = loss + plain_variance_hinge(unique, tasks, config.within_variance)
    return config.triplet_weight * loss


def plain_variance_hinge(unique: list[Tensor], tasks: list[int], least: float) -> Tensor:
    """sqrt(least) minus the standard deviation of each task's features, where that is positive."""
    groups = [
        torch.stack([u for u, t in zip(unique, tasks, strict=True) if t == task]) for task in set(tasks)
    ]
    variances = [rows.var(dim=0, correction=1).sum() for rows in groups if len(rows) > 1]
    return torch.stack([torch.relu(math.sqrt(least + 1e-4) - (v + 1e-4).sqrt()) for v in variances]).mean()


def _anchors(tasks: list[int]) -> list[tuple[int, list[int], list[int]]]:
    """Every row that is not alone, the other rows of its task, and the rows of other tasks."""
    rows = range(len(tasks))
    anchors = [
        (a, [i for i in rows if tasks[i] == tasks[a] and i != a], [i for i in rows if tasks[i] != tasks[a]])
        for a in rows
    ]
    return [anchor for anchor in anchors if anchor[1] and anchor[2]]


def _distance(unique: list[Tensor], anchor: int, rows: list[int]) -> Tensor:
    return torch.stack([(unique[anchor] - unique[i]).pow(2).sum().sqrt() for i in rows])


def _triplet_term(to_same: Tensor, to_other: Tensor, config: UniqueConfig) -> Tensor:
    return torch.relu(config.triplet_margin + to_same.max() - to_other.min())


def _minus_log_share(
    unique: list[Tensor], anchor: int, positive: int, rows: list[int], config: UniqueConfig
) -> Tensor:
    """-log(exp(f_a f_p / temperature) / sum over the rows of exp(f_a f_i / temperature))."""
    scores = {i: ((unique[anchor] * unique[i]).sum() / config.temperature).exp() for i in rows}
    return -(scores[positive] / torch.stack(list(scores.values())).sum()).log()
