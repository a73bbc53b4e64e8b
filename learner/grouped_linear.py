"""Products of rows with the matrix of their task: rows sorted by task, and no gradient of their own.

Every x carries a column of ones and every matrix its bias as a row, so that a layer is one product, x @ W, and its
bias needs no operation forward or backward. Rows are cut into groups of sizes known on the host, without padding, or
lie at places (`row_places.py`), of which every group has as many.
"""

# ruff: noqa: N803 -- shape suffixes are capitals

from __future__ import annotations

import torch
from torch import Tensor

from learner.matmul_precision import batched_product
from learner.row_places import RowPlaces

GroupSizes = tuple[int, ...] | RowPlaces  # rows of each group, which sum to B; or where each row lies


def product(x_EBI: Tensor, weight_EGIO: Tensor, group_sizes: GroupSizes) -> Tensor:
    """Return x @ W of each row's group, f32[E, B, O]; a single group has all rows; x may be expanded over E."""
    sizes = _sizes_for(weight_EGIO, x_EBI, group_sizes)
    if isinstance(sizes, RowPlaces):
        return sizes.collect(product(sizes.spread(x_EBI), weight_EGIO, sizes.group_sizes))
    out = x_EBI.new_empty(*x_EBI.shape[:2], weight_EGIO.shape[3])
    _multiply(x_EBI, weight_EGIO.flatten(0, 1), out, sizes)
    return out


def input_grad(grad_EBO: Tensor, weight_EGIO: Tensor, group_sizes: GroupSizes) -> Tensor:
    """Return grad @ W^T of each row's group, f32[E, B, I]."""
    sizes = _sizes_for(weight_EGIO, grad_EBO, group_sizes)
    if isinstance(sizes, RowPlaces):
        return sizes.collect(input_grad(sizes.spread(grad_EBO), weight_EGIO, sizes.group_sizes))
    out = grad_EBO.new_empty(*grad_EBO.shape[:2], weight_EGIO.shape[2])
    _multiply(grad_EBO, weight_EGIO.flatten(0, 1).mT, out, sizes)
    return out


def weight_grad(x_EBI: Tensor, grad_EBO: Tensor, out_EGIO: Tensor, group_sizes: GroupSizes) -> None:
    """Write x^T @ grad of each group's rows; zeros for a group without rows."""
    sizes = _sizes_for(out_EGIO, x_EBI, group_sizes)
    if isinstance(sizes, RowPlaces):
        weight_grad(sizes.spread(x_EBI), sizes.spread_with_zeros(grad_EBO), out_EGIO, sizes.group_sizes)
        return
    matrices = out_EGIO.flatten(0, 1)
    if _is_even(sizes):
        batched_product(_even(x_EBI, sizes).mT, _even(grad_EBO, sizes), matrices)
        return
    groups = zip(_parts(x_EBI, sizes), _parts(grad_EBO, sizes), matrices.unbind(), strict=True)
    for x_group, grad_group, matrix in groups:
        torch.mm(x_group.t(), grad_group, out=matrix)


def group_sums(grad_EBO: Tensor, group_sizes: GroupSizes) -> Tensor:
    """Sum over the rows of each group, f32[E, G, O]."""
    if isinstance(group_sizes, RowPlaces):
        return group_sums(group_sizes.spread_with_zeros(grad_EBO), group_sizes.group_sizes)
    if _is_even(group_sizes):
        return _even(grad_EBO, group_sizes).sum(1).unflatten(0, (-1, len(group_sizes)))
    sums = grad_EBO.new_empty(grad_EBO.shape[0], len(group_sizes), grad_EBO.shape[2])
    for part, out in zip(_parts(grad_EBO, group_sizes), sums.flatten(0, 1).unbind(), strict=True):
        torch.sum(part, 0, out=out)
    return sums


def _multiply(x: Tensor, matrices: Tensor, out: Tensor, group_sizes: tuple[int, ...]) -> None:
    """Write all products: one batched product of groups of equal size, or one product per ragged group."""
    if _is_even(group_sizes):
        batched_product(_even(x, group_sizes), matrices, _even(out, group_sizes))
        return
    for x_group, matrix, out_group in zip(
        _parts(x, group_sizes), matrices.unbind(), _parts(out, group_sizes), strict=True
    ):
        torch.mm(x_group, matrix, out=out_group)


def _sizes_for(weight_EGIO: Tensor, x_EBI: Tensor, group_sizes: GroupSizes) -> GroupSizes:
    return (x_EBI.shape[1],) if weight_EGIO.shape[1] == 1 else group_sizes


def _is_even(group_sizes: tuple[int, ...]) -> bool:
    return min(group_sizes) == max(group_sizes)


def _even(x: Tensor, group_sizes: tuple[int, ...]) -> Tensor:
    """View [E, B, F] as [E * G, B / G, F]."""
    return x.reshape(x.shape[0] * len(group_sizes), group_sizes[0], x.shape[2])


def _parts(x: Tensor, group_sizes: tuple[int, ...]) -> list[Tensor]:
    """Return the rows of every ensemble member and group, in the order of the flattened matrices."""
    return [part for member in x.unbind() for part in member.split_with_sizes(group_sizes)]
