"""Published parameters composed into plain matrices for the tasks that a process acts on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Params = Mapping[str, Array]


class Layer:
    """One linear layer for U tasks with R rows each; a single task's arrays have no dimension U.

    Its arrays are f32[U, R, out], bias and relu's zero too: numpy takes two to three times as long for an operand that
    it broadcasts. The output is memory of the layer, which the next call overwrites.

    Args:
        weight: f32[U, in, out], or f32[in, out] that all tasks share.
        bias: f32[U, 1, out].
        rows: how many rows a task has.
    """

    def __init__(self, weight: Array, bias: Array, rows: int) -> None:
        self._weight = weight
        self._bias = np.repeat(bias if len(bias) > 1 else bias[0], rows, axis=-2)
        self._zero = np.zeros_like(self._bias)
        self._out = np.empty_like(self._bias)

    def __call__(self, x: Array) -> Array:
        """f32[U, R, in] -> f32[U, R, out], or without U; one product for all tasks where they share the weight."""
        out = self._out
        if self._weight.ndim == 3:
            np.matmul(x, self._weight, out=out)
        elif x.ndim == 2:
            np.dot(x, self._weight, out=out)  # half a microsecond less than matmul
        else:
            np.dot(x.reshape(-1, x.shape[-1]), self._weight, out=out.reshape(-1, out.shape[-1]))
        out += self._bias
        return out

    def relu(self, x: Array) -> Array:
        """The layer with a relu after it."""
        out = self(x)
        return np.maximum(out, self._zero, out=out)


def branch_layers(
    params: Params, branch: str, task_ids: Sequence[int], rows: int, obs_dim: int
) -> tuple[Layer, ...]:
    """The layers of one branch, its task vectors folded into the first bias; empty without the branch."""
    if f"{branch}/mix" not in params:
        return ()
    mix = params[f"{branch}/mix"][list(task_ids)]
    depth = sum(key.startswith(f"{branch}/") and key.endswith("/weight") for key in params)
    layers = [_compose(params, f"{branch}/{i}", mix) for i in range(depth)]
    vectors = params.get(f"{branch}/task_vector")
    layers[0] = _fold(*layers[0], None if vectors is None else vectors[list(task_ids)], obs_dim)
    return tuple(Layer(weight, bias, rows) for weight, bias in layers)


def head_layer(params: Params, task_ids: Sequence[int], rows: int) -> Layer:
    """The output layer of every task."""
    return Layer(*_compose(params, "head", params["head/mix"][list(task_ids)]), rows)


def _compose(params: Params, layer: str, mix: Array) -> tuple[Array, Array]:
    """Weight f32[U, in, out], or f32[in, out] if all tasks mix alike, and bias f32[U, 1, out]."""
    slices = params[f"{layer}/weight"]
    bias = np.tensordot(mix, params[f"{layer}/bias"], axes=1)[:, None]
    alike = (mix == mix[0]).all()
    return np.tensordot(mix[0] if alike else mix, slices, axes=1), bias


def _fold(weight: Array, bias: Array, vectors: Array | None, obs_dim: int) -> tuple[Array, Array]:
    """The first layer without its task vector's rows: what they contribute is constant per task."""
    if vectors is None:
        return weight, bias
    contribution = np.matmul(vectors[:, None], weight[..., obs_dim:, :])  # f32[U, 1, out]
    return np.ascontiguousarray(weight[..., :obs_dim, :]), bias + contribution
