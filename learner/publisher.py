"""The learner's policy in the format that actors run (actors/policy_weights.py)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actors.policy_weights import PolicyWeights
from learner.networks import FeatureNetwork
from learner.observation_norm import ObservationNorm
from learner.sac import SacLearner


def export_policy(learner: SacLearner) -> PolicyWeights:
    """Copies the actor network of this moment; the arrays do not change with later updates."""
    actor = learner.actor
    params = _shared(actor) | _unique(actor) | _layer("head", actor.head) | {"head/mix": _head_mix(actor)}
    if learner.observation_norm is not None:
        params |= _folded(params, learner.observation_norm)
    params["log_std_bounds"] = np.array(learner.log_std_bounds, dtype=np.float32)
    return PolicyWeights(learner.learner_steps, params)


def _folded(params: dict[str, NDArray[np.float32]], norm: ObservationNorm) -> dict[str, NDArray[np.float32]]:
    """The layers that read observations, so that they read raw ones."""
    folded: dict[str, NDArray[np.float32]] = {}
    for layer in ("shared/0", "unique/0"):
        if f"{layer}/weight" in params:
            parts = (f"{layer}/weight", f"{layer}/bias")
            raw = norm.fold(*(torch.from_numpy(params[part]).to(norm.mean.device) for part in parts))
            folded |= {part: _copy(tensor) for part, tensor in zip(parts, raw, strict=True)}
    return folded


def _shared(actor: FeatureNetwork) -> dict[str, NDArray[np.float32]]:
    if not len(actor.shared):
        return {}
    params = {"shared/mix": _shared_mix(actor)}
    if actor.config.shared.task_input == "one_hot":
        params["shared/task_vector"] = np.eye(actor.num_tasks, dtype=np.float32)
    return params | _layers("shared", actor.shared)


def _unique(actor: FeatureNetwork) -> dict[str, NDArray[np.float32]]:
    if actor.task_vector is None:
        return {}
    params = {"unique/mix": _ones(actor), "unique/task_vector": _copy(actor.task_vector[0])}
    return params | _layers("unique", actor.unique)


def _head_mix(actor: FeatureNetwork) -> NDArray[np.float32]:
    if actor.config.head == "composed":
        return _shared_mix(actor)
    return np.eye(actor.num_tasks, dtype=np.float32) if actor.config.head == "per_task" else _ones(actor)


def _shared_mix(actor: FeatureNetwork) -> NDArray[np.float32]:
    return _ones(actor) if actor.mix is None else _copy(actor.mix[0])


def _ones(actor: FeatureNetwork) -> NDArray[np.float32]:
    return np.ones((actor.num_tasks, 1), dtype=np.float32)


def _layers(branch: str, pools: nn.ParameterList) -> dict[str, NDArray[np.float32]]:
    layers = [_layer(f"{branch}/{i}", pool) for i, pool in enumerate(pools)]
    return {key: array for layer in layers for key, array in layer.items()}


def _layer(name: str, pool: Tensor) -> dict[str, NDArray[np.float32]]:
    matrix = _copy(pool[0])  # the last of a matrix' rows is its bias; contiguous parts travel without a copy
    return {f"{name}/weight": matrix[:, :-1].copy(), f"{name}/bias": matrix[:, -1].copy()}


def _copy(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().numpy().copy()  # .numpy() of a CPU tensor shares its memory
