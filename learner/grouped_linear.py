"""The grouped linear layer: rows sorted by task, every task with its own matrix, no padding."""

# ruff: noqa: N803 -- shape suffixes are capitals

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def grouped_linear(x_EBI: Tensor, weight_EGIO: Tensor, rows: tuple[int, ...]) -> Tensor:
    """Multiplies each group of rows with its own matrix and adds its bias.

    Args:
        x_EBI: f32[E, B, in], rows sorted by group.
        weight_EGIO: f32[E, G, in + 1, out]; the last row of a matrix is its bias.
        rows: number of rows of each group, known on the host; sums to B. A single group takes all rows.

    Returns:
        f32[E, B, out].
    """
    if weight_EGIO.shape[1] == 1:
        rows = (x_EBI.shape[1],)
    return _GroupedLinear.apply(x_EBI, weight_EGIO, rows)  # pyright: ignore[reportReturnType] -- apply is untyped


class _GroupedLinear(torch.autograd.Function):
    """Writes every group's product straight into its place: slicing and joining would copy it again.

    Groups of one size are one batched product; ragged groups are a product each, which costs a CPU nothing.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, rows: tuple[int, ...]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.rows = rows
        matrices, biases = _matrices(weight)
        out = x.new_empty(*x.shape[:2], weight.shape[-1])
        if _is_even(rows):
            torch.baddbmm(biases[:, None], _even(x, rows), matrices, out=_even(out, rows))
            return out
        groups = zip(_parts(x, rows), matrices.unbind(), biases.unbind(), _parts(out, rows), strict=True)
        for x_group, matrix, bias, out_group in groups:
            torch.addmm(bias, x_group, matrix, out=out_group)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        grad, rows = grads[0].contiguous(), ctx.rows
        grad_x = _input_grad(grad, weight, rows) if ctx.needs_input_grad[0] else None
        grad_weight = _weight_grad(grad, x, weight, rows) if ctx.needs_input_grad[1] else None
        return grad_x, grad_weight, None


def _input_grad(grad: Tensor, weight: Tensor, rows: tuple[int, ...]) -> Tensor:
    matrices, _ = _matrices(weight)
    grad_x = grad.new_empty(*grad.shape[:2], matrices.shape[1])
    if _is_even(rows):
        torch.bmm(_even(grad, rows), matrices.mT, out=_even(grad_x, rows))
        return grad_x
    groups = zip(_parts(grad, rows), matrices.mT.unbind(), _parts(grad_x, rows), strict=True)
    for grad_group, transposed, out_group in groups:
        torch.mm(grad_group, transposed, out=out_group)
    return grad_x


def _weight_grad(grad: Tensor, x: Tensor, weight: Tensor, rows: tuple[int, ...]) -> Tensor:
    grad_weight = torch.empty_like(weight)
    matrices, biases = _matrices(grad_weight)
    groups = zip(_parts(x, rows), _parts(grad, rows), matrices.unbind(), biases.unbind(), strict=True)
    for x_group, grad_group, matrix, bias in groups:
        torch.mm(x_group.t(), grad_group, out=matrix)  # of no rows: zeros
        torch.sum(grad_group, 0, out=bias)
    return grad_weight


def _matrices(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Views of the matrices f32[E * G, in, out] and the biases f32[E * G, out]."""
    flat = weight.flatten(0, 1)
    return flat[:, :-1], flat[:, -1]


def _parts(x: Tensor, rows: tuple[int, ...]) -> tuple[Tensor, ...]:
    """The rows of every ensemble member and group, in the order of `_matrices`."""
    return torch.split_with_sizes(x.reshape(-1, x.shape[2]), rows * x.shape[0])


def _is_even(rows: tuple[int, ...]) -> bool:
    return min(rows) == max(rows)


def _even(x: Tensor, rows: tuple[int, ...]) -> Tensor:
    """[E, B, F] as [E * G, rows, F]."""
    return x.reshape(x.shape[0] * len(rows), rows[0], x.shape[2])
