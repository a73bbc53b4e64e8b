"""A policy as safetensors: the tensors of `PolicyWeights` by their keys, described in its header."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from stars_dist.export.exported_policy import Act, ExportedPolicy


def safetensors_bytes(policy: ExportedPolicy) -> bytes:
    """Serialise the tensors."""
    from safetensors.numpy import save

    tensors = {key: np.ascontiguousarray(value) for key, value in policy.weights.params.items()}
    return save(tensors, metadata=policy.description())


def safetensors_act(content: bytes) -> Act:
    """Load the tensors and act by them."""
    from safetensors.numpy import load

    weights = PolicyWeights(0, load(content))

    def act(obs: NDArray[np.float32], task_id: NDArray[np.int64]) -> NDArray[np.float32]:
        return NumpyPolicy(weights, task_id.tolist(), obs.shape[-1]).act(obs)

    return act
