"""Layers of pooled slices: a task's matrix is a mix of K slices; an ensemble dimension for twin critics.

Shape suffixes: E ensemble members   B rows   T tasks   K slices   G groups of rows with a matrix of their own
(T where tasks differ, 1 where they share it)   I in + 1   O out. The last of the I rows is the bias.
"""

# ruff: noqa: N803 -- shape suffixes are capitals

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from learner.network_config import SharedConfig
from learner.network_layout import LayerLayout

SliceInit = Literal["equal", "independent"]


def pooled_layer(
    ensemble: int, layer: LayerLayout, slice_init: SliceInit, generator: torch.Generator
) -> nn.Parameter:
    """Draw a hidden layer's pool f32[E, K, in + 1, out]: He's uniform weights, no bias, as in rainx0r/mtrl."""
    bound = math.sqrt(6.0 / layer.fan_in)
    drawn = 1 if slice_init == "equal" else layer.slices
    weight = torch.empty(ensemble, drawn, layer.fan_in, layer.fan_out)
    weight.uniform_(-bound, bound, generator=generator)
    bias = torch.zeros(ensemble, drawn, 1, layer.fan_out)
    return nn.Parameter(torch.cat([weight, bias], dim=2).expand(-1, layer.slices, -1, -1).contiguous())


def pooled_head(
    ensemble: int, layer: LayerLayout, slice_init: SliceInit, generator: torch.Generator
) -> nn.Parameter:
    """Draw an output layer's pool: small uniform weights and biases, so that tasks start nearly alike.

    Heads of the tasks are drawn each, as in rainx0r/mtrl.
    """
    drawn = 1 if slice_init == "equal" and layer.pooling != "per_task" else layer.slices
    pool = torch.empty(ensemble, drawn, layer.fan_in + 1, layer.fan_out)
    pool.uniform_(-3e-3, 3e-3, generator=generator)
    return nn.Parameter(pool.expand(-1, layer.slices, -1, -1).contiguous())


def initial_mix(config: SharedConfig, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Draw the start of w, f32[E, T, K], of any length; see SharedConfig.mix_init and docs/algorithm.md."""
    _, tasks, slices = shape
    if config.mix_init == "normal":
        return torch.randn(shape, generator=generator)
    if config.mix_init == "one_hot":
        own = torch.eye(slices)[torch.arange(tasks) % slices]
        return own + 0.1 * torch.randn(shape, generator=generator)
    if config.mix_init == "uniform":
        return (1 + 0.1 * torch.randn(shape, generator=generator)) / slices
    exponential = torch.empty(shape).exponential_(generator=generator)
    return exponential / exponential.sum(-1, keepdim=True)  # Dirichlet(1, ..., 1): uniform on the simplex


def compose(pool_EKIO: Tensor, mix_ETK: Tensor, out_ETIO: Tensor) -> None:
    """Write the matrices of all tasks: W_tau = sum_k w_tau[k] W_k."""
    torch.bmm(mix_ETK, pool_EKIO.flatten(2), out=out_ETIO.flatten(2))


def set_pool_grad(grad_ETIO: Tensor, pool_EKIO: Tensor, mix_ETK: Tensor) -> Tensor:
    """Set the pool's `grad` from the gradient of composed matrices; return the gradient of w."""
    flat = grad_ETIO.flatten(2)
    if pool_EKIO.grad is None:
        pool_EKIO.grad = torch.empty_like(pool_EKIO)
    torch.bmm(mix_ETK.mT, flat, out=pool_EKIO.grad.flatten(2))
    return torch.bmm(flat, pool_EKIO.flatten(2).mT)
