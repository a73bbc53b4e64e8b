"""Linear layers composed for given tasks: their mixes of the published slices as plain matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Params = Mapping[str, Array]
# A linear layer of U tasks: weight f32[U, in, out], or f32[in, out] that all share, and bias f32[U, 1, out].
Affine = tuple[Array, Array]


def compose_branch(params: Params, branch: str, task_ids: Sequence[int], obs_dim: int) -> list[Affine]:
    """Compose the layers of one branch, its task vectors folded into the first bias; empty without the branch."""
    if f"{branch}/mix" not in params:
        return []
    mix = params[f"{branch}/mix"][list(task_ids)]
    depth = sum(key.startswith(f"{branch}/") and key.endswith("/weight") for key in params)
    layers = [_compose(params, f"{branch}/{i}", mix) for i in range(depth)]
    vectors = params.get(f"{branch}/task_vector")
    layers[0] = _fold_task_vectors(*layers[0], None if vectors is None else vectors[list(task_ids)], obs_dim)
    return layers


def compose_head(params: Params, task_ids: Sequence[int]) -> Affine:
    """Compose the output layer of every task."""
    return _compose(params, "head", params["head/mix"][list(task_ids)])


def _compose(params: Params, layer: str, mix: Array) -> Affine:
    slices, biases = params[f"{layer}/weight"], params[f"{layer}/bias"]
    alike = (mix == mix[0]).all()
    chosen = _chosen(mix)
    if chosen is not None:  # the same, without a copy of a single task's
        return slices[chosen[0]] if alike else slices[chosen], biases[chosen][:, None]
    bias = np.tensordot(mix, biases, axes=1)[:, None]
    return np.tensordot(mix[0] if alike else mix, slices, axes=1), bias


def _chosen(mix: Array) -> NDArray[np.int64] | None:
    """Return the one slice of each task where every mix is one slice as it is; else None."""
    chosen = mix.argmax(axis=1)
    is_one = (mix != 0).sum() == len(mix) and (mix[np.arange(len(mix)), chosen] == 1).all()
    return chosen if is_one else None


def _fold_task_vectors(weight: Array, bias: Array, vectors: Array | None, obs_dim: int) -> Affine:
    """Move what the task vectors contribute to the first layer, constant per task, into its bias."""
    if vectors is None:
        return weight, bias
    contribution = np.matmul(vectors[:, None], weight[..., obs_dim:, :])  # f32[U, 1, out]
    return np.ascontiguousarray(weight[..., :obs_dim, :]), bias + contribution
