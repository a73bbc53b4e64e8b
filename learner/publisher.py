"""The learner's policy in the format that actors run, PolicyWeights of actors/policy_weights.py."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actors.policy_weights import PolicyWeights
from learner.network_config import NetworkConfig
from learner.network_layout import LayerLayout
from learner.networks import FeatureNetwork
from learner.observation_norm import ObservationNorm
from learner.sac import SacLearner


class PolicySource(NamedTuple):
    """What a policy is exported from: the learner's own parts, or copies of them."""

    actor: FeatureNetwork
    observation_norm: ObservationNorm | None
    network: NetworkConfig
    log_std_bounds: tuple[float, float]
    learner_steps: int

    def tensors(self) -> list[Tensor]:
        """Return all that changes with updates."""
        norm = [] if self.observation_norm is None else list(self.observation_norm.buffers())
        return [*self.actor.parameters(), *norm]


def policy_source(learner: SacLearner) -> PolicySource:
    """Return the learner's own parts."""
    bounds, steps = learner.log_std_bounds, learner.learner_steps
    return PolicySource(learner.actor, learner.observation_norm, learner.network, bounds, steps)


def export_policy(learner: SacLearner | PolicySource) -> PolicyWeights:
    """Copy the current actor network; the arrays do not change with later updates."""
    params = _task_vectors(learner.actor) | _layers(learner.actor)
    if learner.observation_norm is not None:
        for branch in learner.network.normalized_branches:
            params |= _folded(params, f"{branch}/0", learner.observation_norm)
    params["log_std_bounds"] = np.array(learner.log_std_bounds, dtype=np.float32)
    return PolicyWeights(learner.learner_steps, params)


def _task_vectors(actor: FeatureNetwork) -> dict[str, NDArray[np.float32]]:
    params = {}
    if actor.layout.one_hot:
        params["shared/task_vector"] = np.eye(actor.layout.num_tasks, dtype=np.float32)
    if actor.task_vector is not None:
        params["unique/task_vector"] = _copy(actor.task_vector[0])
    return params


def _layers(actor: FeatureNetwork) -> dict[str, NDArray[np.float32]]:
    params = {}
    for layer, pool in zip(actor.layout.layers, actor.pools, strict=True):
        matrix = _copy(pool[0])  # its last row is the bias; contiguous arrays are sent without a copy
        params[f"{layer.branch}/mix"] = _mix(actor, layer)  # the same for all layers of a branch
        params[f"{layer.name}/weight"] = matrix[:, :-1].copy()
        params[f"{layer.name}/bias"] = matrix[:, -1].copy()
    return params


def _mix(actor: FeatureNetwork, layer: LayerLayout) -> NDArray[np.float32]:
    """Return how each task mixes a layer's slices, f32[T, K]."""
    tasks = actor.layout.num_tasks
    if actor.mix is not None and layer.pooling == "composed":
        return _copy(actor.mix[0])
    return np.eye(tasks, dtype=np.float32) if layer.pooling == "per_task" else np.ones((tasks, 1), np.float32)


def _folded(
    params: dict[str, NDArray[np.float32]], layer: str, norm: ObservationNorm
) -> dict[str, NDArray[np.float32]]:
    """Return a branch's first layer changed to read raw observations."""
    parts = (f"{layer}/weight", f"{layer}/bias")
    raw = norm.fold(*(torch.from_numpy(params[part]).to(norm.mean.device) for part in parts))
    return {part: _copy(tensor) for part, tensor in zip(parts, raw, strict=True)}


def _copy(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.detach().cpu().numpy().copy()  # .numpy() of a CPU tensor shares its memory
