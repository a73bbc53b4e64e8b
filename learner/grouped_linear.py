"""Products of rows with the matrix of their task: rows sorted by task, no padding, and no gradient of their own.

Every x carries a last column of ones and every matrix its bias as the last row, so that a layer is one product,
x @ W, and its bias needs no operation forward or backward.
"""

# ruff: noqa: N803 -- shape suffixes are capitals

from __future__ import annotations

import torch
from torch import Tensor

Rows = tuple[int, ...]  # number of rows of each group, known on the host; they sum to B


def product(x_EBI: Tensor, weight_EGIO: Tensor, rows: Rows) -> Tensor:
    """x @ W of each row's group, f32[E, B, O]. A single group takes all rows; x may be expanded over E."""
    out = x_EBI.new_empty(*x_EBI.shape[:2], weight_EGIO.shape[3])
    _multiply(x_EBI, weight_EGIO.flatten(0, 1), out, _rows_of(weight_EGIO, x_EBI, rows))
    return out


def input_grad(grad_EBO: Tensor, weight_EGIO: Tensor, rows: Rows) -> Tensor:
    """grad @ W^T of each row's group, f32[E, B, I]."""
    out = grad_EBO.new_empty(*grad_EBO.shape[:2], weight_EGIO.shape[2])
    _multiply(grad_EBO, weight_EGIO.flatten(0, 1).mT, out, _rows_of(weight_EGIO, grad_EBO, rows))
    return out


def weight_grad(x_EBI: Tensor, grad_EBO: Tensor, out_EGIO: Tensor, rows: Rows) -> None:
    """Writes x^T @ grad of each group's rows; zeros for a group without rows."""
    rows = _rows_of(out_EGIO, x_EBI, rows)
    matrices = out_EGIO.flatten(0, 1)
    if _is_even(rows):
        torch.bmm(_even(x_EBI, rows).mT, _even(grad_EBO, rows), out=matrices)
        return
    groups = zip(_parts(x_EBI, rows), _parts(grad_EBO, rows), matrices.unbind(), strict=True)
    for x_group, grad_group, matrix in groups:
        torch.mm(x_group.t(), grad_group, out=matrix)


def group_sums(grad_EBO: Tensor, rows: Rows) -> Tensor:
    """Sums over the rows of each group, f32[E, G, O]."""
    if _is_even(rows):
        return _even(grad_EBO, rows).sum(1).unflatten(0, (-1, len(rows)))
    sums = grad_EBO.new_empty(grad_EBO.shape[0], len(rows), grad_EBO.shape[2])
    for part, out in zip(_parts(grad_EBO, rows), sums.flatten(0, 1).unbind(), strict=True):
        torch.sum(part, 0, out=out)
    return sums


def _multiply(x: Tensor, matrices: Tensor, out: Tensor, rows: Rows) -> None:
    """Groups of one size are one batched product; ragged groups are a product each, into their place."""
    if _is_even(rows):
        torch.bmm(_even(x, rows), matrices, out=_even(out, rows))
        return
    for x_group, matrix, out_group in zip(_parts(x, rows), matrices.unbind(), _parts(out, rows), strict=True):
        torch.mm(x_group, matrix, out=out_group)


def _rows_of(weight_EGIO: Tensor, x_EBI: Tensor, rows: Rows) -> Rows:
    return (x_EBI.shape[1],) if weight_EGIO.shape[1] == 1 else rows


def _is_even(rows: Rows) -> bool:
    return min(rows) == max(rows)


def _even(x: Tensor, rows: Rows) -> Tensor:
    """[E, B, F] as [E * G, rows, F]."""
    return x.reshape(x.shape[0] * len(rows), rows[0], x.shape[2])


def _parts(x: Tensor, rows: Rows) -> list[Tensor]:
    """The rows of every ensemble member and group, in the order of the flattened matrices."""
    return [part for member in x.unbind() for part in member.split_with_sizes(rows)]
