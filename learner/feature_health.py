"""The health of the learned features: whether the unique features and the pool of slices are used."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from learner.networks import FeatureNetwork

_LEAST_VARIANCE = 1e-6  # below it there is only rounding, whose shares mean nothing


def unique_feature_health(unique: Tensor, group_sizes: Sequence[int]) -> dict[str, Tensor]:
    """Return the signs of what unique features f32[B, F], of length one and sorted by task, carry.

    train/unique_effective_rank: exp(entropy of the normalised eigenvalues of the covariance), 1 to F.
    train/unique_rank_within_task: the same of a task's features, mean over the tasks.
    train/unique_task_variance: variance of the tasks' mean features, 0 to 1; near 0: tasks are not told apart.
    train/unique_within_share: variance within tasks over the whole variance, 0 to 1; near 0: a mere code of the task.

    With one task there is nothing to tell apart, and neither of the last two.
    """
    groups = [rows for rows in unique.split(list(group_sizes)) if len(rows)]
    values = {
        "train/unique_effective_rank": effective_rank(unique),
        "train/unique_rank_within_task": torch.stack([effective_rank(rows) for rows in groups]).mean(),
    }
    if len(groups) > 1:
        means = torch.stack([rows.mean(dim=0) for rows in groups])
        within = torch.stack([_scatter(rows) for rows in groups]).sum()
        whole = _scatter(unique).clamp(min=_LEAST_VARIANCE * len(unique))
        values["train/unique_task_variance"] = means.var(dim=0, correction=0).sum()
        values["train/unique_within_share"] = within / whole
    return values


def effective_rank(features: Tensor) -> Tensor:
    """Return exp(entropy of the covariance's normalised eigenvalues) of f32[B, F]: 1 for features on a line."""
    spectrum = torch.linalg.svdvals(features - features.mean(dim=0)).square()
    return _effective_number(spectrum, _LEAST_VARIANCE * len(features))


def unique_gradient_share(actor: FeatureNetwork) -> dict[str, float]:
    """Return the unique branch's share of the norm of the actor's newest gradient; waits for the device.

    Empty without a unique branch, and before the first update.
    """
    if not len(actor.unique) or actor.head.grad is None:
        return {}
    vector = [] if actor.task_vector is None else [actor.task_vector]
    own = torch.stack([_grad_norm(p) for p in (*vector, *actor.unique)])
    whole = torch.stack([_grad_norm(p) for p in actor.parameters()])
    return {"train/unique_gradient_share": float(own.norm() / whole.norm().clamp(min=1e-30))}


def pool_health(network: FeatureNetwork) -> dict[str, float]:
    """Return the signs of whether tasks use different parts of the pool, mean over the composed layers.

    Waits for the device; empty without a composed trunk.

    train/pool_effective_rank: exp(entropy of the slices' normalised squared singular values), 1 to K.
    train/pool_second_singular: the second singular value over the first; with one slice there is none.
    train/task_matrix_distance: distance of two tasks' matrices over the root of their mean square length, mean over
        pairs; with one task there is none.
    """
    if network.mix is None:
        return {}
    mix = network.mix[0].detach().double()
    layers = zip(network.layout.layers, network.pools, strict=True)
    pools = [pool[0].detach().flatten(1).double() for layer, pool in layers if layer.pooling == "composed"]
    grams = torch.stack([pool @ pool.T for pool in pools])  # f64[layers, K, K]
    spectra = torch.linalg.eigvalsh(grams).flip(-1).clamp(min=0)
    values = {
        "pool_effective_rank": torch.stack([_effective_number(spectrum, 1e-30) for spectrum in spectra])
    }
    if mix.shape[1] > 1:
        values["pool_second_singular"] = (spectra[:, 1] / spectra[:, 0].clamp(min=1e-30)).sqrt()
    if mix.shape[0] > 1:
        values["task_matrix_distance"] = _pair_distances(mix @ grams @ mix.T)
    return {f"train/{name}": float(value.mean()) for name, value in values.items()}


def _pair_distances(products: Tensor) -> Tensor:
    """Return the distances of all pairs over the root of their mean square length, from inner products f64[L, T, T]."""
    squares = products.diagonal(dim1=1, dim2=2)
    lengths = squares[:, :, None] + squares[:, None]  # of both together, squared
    first, second = torch.triu_indices(*products.shape[1:], offset=1, device=products.device)
    distance = (lengths - 2 * products).clamp(min=0) / (lengths / 2).clamp(min=1e-30)
    return distance.sqrt()[:, first, second]


def _effective_number(spectrum: Tensor, least_sum: float) -> Tensor:
    """Return exp(entropy) of a spectrum scaled to sum one; 1 where its sum is far below the least."""
    return torch.special.entr(spectrum / spectrum.sum().clamp(min=least_sum)).sum().exp()


def _scatter(rows: Tensor) -> Tensor:
    """Return the summed squared distance from the mean."""
    return (rows - rows.mean(dim=0)).square().sum()


def _grad_norm(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None, "every parameter has a gradient after an update"
    return parameter.grad.norm()
