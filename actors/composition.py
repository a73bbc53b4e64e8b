"""Published parameters composed into plain matrices for the tasks that a process acts on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Params = Mapping[str, NDArray[np.float32]]


class Layer(NamedTuple):
    """One linear layer of U tasks. A weight that all tasks share and a single task's bias have no dimension U."""

    weight: NDArray[np.float32]  # f32[U, in, out] or f32[in, out]
    bias: NDArray[np.float32]  # f32[U, 1, out] or f32[out]


def branch_layers(params: Params, branch: str, task_ids: Sequence[int], obs_dim: int) -> tuple[Layer, ...]:
    """The layers of one branch, its task vectors folded into the first bias; empty without the branch."""
    if f"{branch}/mix" not in params:
        return ()
    mix = params[f"{branch}/mix"][list(task_ids)]
    depth = sum(key.startswith(f"{branch}/") and key.endswith("/weight") for key in params)
    layers = [_compose(params, f"{branch}/{i}", mix) for i in range(depth)]
    vectors = params.get(f"{branch}/task_vector")
    layers[0] = _fold(layers[0], None if vectors is None else vectors[list(task_ids)], obs_dim)
    return tuple(map(_of_tasks, layers))


def head_layer(params: Params, task_ids: Sequence[int]) -> Layer:
    """The output layer of every task."""
    return _of_tasks(_compose(params, "head", params["head/mix"][list(task_ids)]))


def _of_tasks(layer: Layer) -> Layer:
    """Without the dimension of tasks if there is one task."""
    return layer if len(layer.bias) > 1 else Layer(layer.weight, layer.bias[0, 0])


def _compose(params: Params, layer: str, mix: NDArray[np.float32]) -> Layer:
    slices = params[f"{layer}/weight"]
    bias = np.tensordot(mix, params[f"{layer}/bias"], axes=1)[:, None]
    if (mix == mix[0]).all():
        return Layer(np.tensordot(mix[0], slices, axes=1), bias)
    return Layer(np.tensordot(mix, slices, axes=1), bias)


def _fold(first: Layer, vectors: NDArray[np.float32] | None, obs_dim: int) -> Layer:
    """The first layer without its task vector's rows: what they contribute is constant per task."""
    if vectors is None:
        return first
    weight = np.ascontiguousarray(first.weight[..., :obs_dim, :])
    contribution = np.matmul(vectors[:, None], first.weight[..., obs_dim:, :])  # f32[U, 1, out]
    return Layer(weight, first.bias + contribution)
