"""The policy that is exported: of all tasks or of one, and the check that a file of it computes the same actions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.composed_layers import compose_branch, compose_head
from actors.near_name import did_you_mean
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyMetadata, PolicyWeights, find_policy_file, read_policy

TOLERANCE = 1e-5  # of actions, which lie in [-1, 1]
_CHECKED_ROWS = 64
_LEAST_SCALE = 1e-3  # of a component's weights: one that is always the same has none

Array = NDArray[np.float32]
Act = Callable[[Array, NDArray[np.int64]], NDArray[np.float32]]
"""Actions f32[N, A] of a file's policy for observations f32[N, O] and tasks i64[N]."""


class ExportedPolicy(NamedTuple):
    """Weights to export and what they are."""

    weights: PolicyWeights
    metadata: PolicyMetadata

    @property
    def has_task_input(self) -> bool:
        """Whether the policy must be told the task: a policy of one task knows it."""
        return len(self.metadata.tasks) > 1

    def description(self) -> dict[str, str]:
        """Describe the policy for a file's header."""
        data = self.metadata
        return {
            "project": "stars-dist",
            "suite": data.suite,
            "tasks": ",".join(data.tasks),
            "learner_steps": str(data.version),
            "obs_dim": str(data.obs_dim),
            "action_dim": str(data.action_dim),
        }


def read_exported(run_or_checkpoint: Path, task: str | None) -> ExportedPolicy:
    """Read a policy, reduced to one task where it is named; ValueError where there is no such policy or task."""
    weights, metadata = read_policy(find_policy_file(run_or_checkpoint))
    if task is None:
        return ExportedPolicy(weights, metadata)
    if task not in metadata.tasks:
        raise ValueError(
            f"task must be one that the policy was trained on, got {task!r}{did_you_mean(task, metadata.tasks)}; "
            f"its tasks are {', '.join(metadata.tasks)}"
        )
    reduced = _reduced(weights, metadata.tasks.index(task), metadata.obs_dim)
    return ExportedPolicy(reduced, metadata._replace(tasks=(task,)))


def _reduced(weights: PolicyWeights, task_id: int, obs_dim: int) -> PolicyWeights:
    """Compose one task's matrices: the weights of a policy with a single slice and a single task."""
    one = np.ones((1, 1), np.float32)
    params: dict[str, Array] = {"log_std_bounds": weights.params["log_std_bounds"]}
    for branch in ("shared", "unique"):
        for i, (weight, bias) in enumerate(compose_branch(weights.params, branch, (task_id,), obs_dim)):
            params |= {f"{branch}/mix": one, f"{branch}/{i}/weight": weight.reshape(1, *weight.shape[-2:])}
            params[f"{branch}/{i}/bias"] = bias.reshape(1, -1)
    weight, bias = compose_head(weights.params, (task_id,))
    params |= {"head/mix": one, "head/weight": weight.reshape(1, *weight.shape[-2:])}
    params["head/bias"] = bias.reshape(1, -1)
    return PolicyWeights(weights.version, {key: np.ascontiguousarray(value) for key, value in params.items()})


def greatest_deviation(policy: ExportedPolicy, act: Act) -> float:
    """Compare a file's actions with those of the policy that actors run, on random observations of every task."""
    rng = np.random.default_rng(0)
    data = policy.metadata
    tasks = np.arange(_CHECKED_ROWS, dtype=np.int64) % len(data.tasks)
    obs = np.stack([_typical_observation(policy, task, rng) for task in tasks.tolist()])
    expected = NumpyPolicy(policy.weights, tasks.tolist(), data.obs_dim).act(obs)
    return float(np.abs(act(obs, tasks) - expected).max())


def _typical_observation(policy: ExportedPolicy, task_id: int, rng: np.random.Generator) -> Array:
    """Draw an observation as the policy was trained on: one that the first layer maps to numbers of order one.

    Published weights have the scale of observations folded into them. Far from those that it has seen, a policy in f32
    is exact to no more than 1e-4 itself.
    """
    params, obs_dim = policy.weights.params, policy.metadata.obs_dim
    first = [
        compose_branch(params, branch, (task_id,), obs_dim)[0]
        for branch in ("shared", "unique")
        if f"{branch}/mix" in params
    ]
    weight = np.concatenate([weight.reshape(obs_dim, -1) for weight, _ in first], axis=1)
    bias = np.concatenate([bias.ravel() for _, bias in first])
    middle = np.linalg.lstsq(weight.T, -bias, rcond=1e-6)[0]
    scale = np.linalg.norm(weight, axis=1) / np.sqrt(weight.shape[1])
    return (middle + rng.normal(size=obs_dim) / np.maximum(scale, _LEAST_SCALE)).astype(np.float32)
