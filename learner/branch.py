"""A branch of a network, forward and backward by hand: grouped layers, LayerNorm and relu as one operation.

At small batches autograd's own bookkeeping of these layers would cost more than their products.
"""

# ruff: noqa: N803, N806, N815 -- shape suffixes are capitals

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from learner.grouped_linear import GroupSizes, group_sums, input_grad, product, weight_grad

_LAYER_NORM_EPSILON = 1e-5
_LEAST_LENGTH = 1e-12


class Groups(NamedTuple):
    """Which rows of a batch belong to which task: sorted by task."""

    task_id: Tensor  # i64[B]
    group_sizes: GroupSizes


class BranchInput(NamedTuple):
    """What a branch reads: a state per row, and possibly a vector per task."""

    state: Tensor  # f32[B, S]
    task_ETZ: Tensor | None
    groups: Groups


class LayerTape(NamedTuple):
    """What the backward pass of a layer needs of its forward pass. Zeros may follow on the in + 1 of x and weight."""

    x: Tensor  # f32[E, B, in + 1] with the ones; in a layer with a task input f32[E, B, S]
    weight: Tensor  # f32[E, G, in + 1, out]
    output: Tensor  # f32[E, B, out]
    norm: tuple[Tensor, Tensor, Tensor] | None  # LayerNorm's input, mean and 1 / std
    length: Tensor | None  # f32[E, B, 1] before a division to unit length; None after a relu


def forward(
    inputs: BranchInput, weights: Sequence[Tensor], out_EBF: Tensor, layer_norm: bool, ends_in_unit: bool
) -> list[LayerTape]:
    """Run all layers and write the last one's output to `out_EBF`: after a relu, or divided by its length.

    Args:
        weights: f32[E, G, in + 1, out] each; the first layer reads [state, task, 1], the others [y, 1]. Rows of
            zeros may follow, so that the inner dimension is a multiple of something.
    """
    task = inputs.task_ETZ
    state = with_ones(inputs.state, weights[0].shape[2]) if task is None else inputs.state
    x = state.expand(weights[0].shape[0], -1, -1)
    tapes = []
    for depth, weight in enumerate(weights):
        is_last = depth + 1 == len(weights)
        raw = _linear(x, weight, inputs.groups, task if depth == 0 else None)
        following = None if is_last else with_room(raw, weights[depth + 1].shape[2])
        output = out_EBF if following is None else following[..., : raw.shape[2]]
        activate = _unit if is_last and ends_in_unit else _relu
        tapes.append(activate(x, weight, raw, output, layer_norm))
        x = raw if following is None else following
    return tapes


class BranchGradients(NamedTuple):
    """Gradients of what a branch reads and of its weights."""

    weights: list[Tensor]  # empty where they are constants
    task_ETZ: Tensor | None
    state_EBS: Tensor | None  # of the requested columns


def backward(
    grad_EBF: Tensor,
    tapes: Sequence[LayerTape],
    inputs: BranchInput,
    needs_weights: bool,
    state_columns: slice | None,
) -> BranchGradients:
    """Compute the gradients of weights, task vectors and state from that of the branch's output.

    `state_columns` are the columns of the state whose gradient is wanted; none: not the state's.
    """
    grad_weights: list[Tensor] = []
    grad_task = grad_state = None
    for depth in reversed(range(len(tapes))):
        tape = tapes[depth]
        grad = _before_activation(grad_EBF, tape)
        if needs_weights:
            task = inputs.task_ETZ if depth == 0 else None
            grad_weight, grad_task = _linear_grads(grad, tape, inputs.groups, task)
            grad_weights.insert(0, grad_weight)
        if depth > 0:
            width = tapes[depth - 1].output.shape[2]
            grad_EBF = input_grad(grad, tape.weight[:, :, :width], inputs.groups.group_sizes)
        elif state_columns is not None:
            grad_state = input_grad(grad, tape.weight[:, :, state_columns], inputs.groups.group_sizes)
    return BranchGradients(grad_weights, grad_task, grad_state)


def with_ones(x: Tensor, inner: int) -> Tensor:
    """Return [x, 1, 0 ...] of `inner` columns: the column of ones is multiplied with the bias."""
    ones = F.pad(x, (0, 1), value=1.0)
    return ones if ones.shape[-1] == inner else F.pad(ones, (0, inner - ones.shape[-1]))


def with_room(like: Tensor, inner: int, width: int | None = None) -> Tensor:
    """Return [room, 1, 0 ...] of `inner` columns for outputs of `width` columns, else of as many as `like` has."""
    width = like.shape[2] if width is None else width
    room = like.new_empty(*like.shape[:2], inner)
    room[..., width].fill_(1.0)
    if inner > width + 1:
        room[..., width + 1 :].zero_()
    return room


def _linear(x: Tensor, weight: Tensor, groups: Groups, task_ETZ: Tensor | None) -> Tensor:
    """Return [x, z, 1] W; what z contributes is the same for all rows of a task and is multiplied once."""
    if task_ETZ is None:
        return product(x, weight, groups.group_sizes)
    width = x.shape[2]
    out = product(x, weight[:, :, :width], groups.group_sizes)
    per_task = _by_group(with_ones(task_ETZ, weight.shape[2] - width), weight) @ weight[:, :, width:]
    return out.add_(per_task.flatten(1, 2).index_select(1, groups.task_id))


def _linear_grads(
    grad: Tensor, tape: LayerTape, groups: Groups, task_ETZ: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of `_linear` with respect to the matrices and to the task vectors."""
    grad_weight, width = torch.empty_like(tape.weight), tape.x.shape[2]
    weight_grad(tape.x, grad, grad_weight[:, :, :width], groups.group_sizes)
    if task_ETZ is None:
        return grad_weight, None
    sums = _by_group(group_sums(grad, groups.group_sizes), tape.weight)
    ones = with_ones(task_ETZ, tape.weight.shape[2] - width)
    grad_weight[:, :, width:] = _by_group(ones, tape.weight).mT @ sums
    columns = slice(width, width + task_ETZ.shape[2])
    return grad_weight, (sums @ tape.weight[:, :, columns].mT).view_as(task_ETZ)


def _by_group(x_ETF: Tensor, weight_EGIO: Tensor) -> Tensor:
    """View [E, T, F] as [E, G, T / G, F]: every task in a group of its own, or all in the one group."""
    return x_ETF.unflatten(1, (weight_EGIO.shape[1], -1))


def _relu(x: Tensor, weight: Tensor, raw: Tensor, output: Tensor, layer_norm: bool) -> LayerTape:
    """Write relu(raw), or relu(LayerNorm(raw)) without gain and offset, which the next matrix has."""
    norm = None
    if layer_norm:
        normalized, mean, rstd = torch.native_layer_norm(raw, raw.shape[2:], None, None, _LAYER_NORM_EPSILON)
        raw, norm = normalized, (raw, mean, rstd)
    torch.clamp_min(raw, 0.0, out=output)
    return LayerTape(x, weight, output, norm, None)


def _unit(x: Tensor, weight: Tensor, raw: Tensor, output: Tensor, layer_norm: bool) -> LayerTape:
    """Write raw / |raw|, rows of length one; LayerNorm is not applied here."""
    length = torch.linalg.vector_norm(raw, dim=2, keepdim=True).clamp_min_(_LEAST_LENGTH)
    torch.div(raw, length, out=output)
    return LayerTape(x, weight, output, None, length)


def _before_activation(grad: Tensor, tape: LayerTape) -> Tensor:
    """Return the gradient of a layer's product from the gradient of its output."""
    if tape.length is not None:  # of y = x / |x|: (g - y (y . g)) / |x|
        along = (grad * tape.output).sum(2, keepdim=True)
        return torch.addcmul(grad, tape.output, along, value=-1).div_(tape.length)
    grad = torch.ops.aten.threshold_backward(grad, tape.output, 0.0)
    if tape.norm is None:
        return grad
    raw, mean, rstd = tape.norm
    only_input = [True, False, False]
    return torch.ops.aten.native_layer_norm_backward(
        grad, raw, raw.shape[2:], mean, rstd, None, None, only_input
    )[0]
