"""The policy in numpy: as actors run it, and as a trained one is loaded for anyone's own loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.composed_layers import compose_branch, compose_head
from actors.near_name import did_you_mean
from actors.numpy_network import NumpyNetwork
from actors.policy_weights import PolicyMetadata, PolicyWeights, find_policy_file, read_policy


class NumpyPolicy:
    """One version of the weights, ready to act in E environments of given tasks with one batched forward.

    Every forward writes to memory of the policy: several threads need a policy each.
    """

    def __init__(self, weights: PolicyWeights, task_ids: Sequence[int], obs_dim: int) -> None:
        params = weights.params
        self.version = weights.version
        unique, slots = np.unique(np.asarray(task_ids), return_inverse=True)
        tasks = unique.tolist()
        # Row r of task u in the padded batch [U, R, O]: environments of the same task share a product.
        self._task_slot = slots
        self._row_slot = np.array([np.sum(slots[:i] == slot) for i, slot in enumerate(slots)])
        rows = int(self._row_slot.max()) + 1
        self._padded_shape = (len(tasks), rows, obs_dim)
        shared, unique = (compose_branch(params, branch, tasks, obs_dim) for branch in ("shared", "unique"))
        self._network = NumpyNetwork(shared, unique, compose_head(params, tasks), rows)
        self._action_shape = (len(slots), params["head/bias"].shape[-1] // 2)
        self._log_std_bounds = [np.full(self._action_shape, bound) for bound in params["log_std_bounds"]]

    def draw_noise(self, rng: np.random.Generator, steps: int) -> NDArray[np.float32]:
        """Draw standard normal noise f32[steps, E, A]: the same numbers, for many steps at once or one by one."""
        return rng.standard_normal((steps, *self._action_shape), dtype=np.float32)

    def act(self, obs: NDArray[np.float32], noise: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Choose actions f32[E, A] for observations f32[E, O]: a sample with noise f32[E, A], the mode without."""
        out = self._forward(obs)
        half = out.shape[-1] // 2
        mean = out[:, :half].copy()  # contiguous: all that follows is faster
        if noise is None:
            return np.tanh(mean)
        action = out[:, half:].copy()  # the log std, in whose memory the sample is computed
        low, high = self._log_std_bounds
        np.maximum(action, low, out=action)  # np.clip takes five times as long as both
        np.minimum(action, high, out=action)
        np.exp(action, out=action)
        action *= noise
        action += mean
        return np.tanh(action, out=action)

    def features(self, obs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute the features f32[E, F] of the shared and of the unique branch; a missing one has F = 0.

        The policy must be of a single task.
        """
        assert self._padded_shape[0] == 1, "features are read task by task"
        self._network(obs)
        return self._network.split_features()

    def _forward(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute mean and log std f32[E, 2 A] before any bound."""
        if self._padded_shape[0] == 1:
            return self._network(obs)
        padded = np.zeros(self._padded_shape, dtype=np.float32)
        padded[self._task_slot, self._row_slot] = obs
        return self._network(padded)[self._task_slot, self._row_slot]


class LoadedPolicy:
    """A trained policy for anyone's own loop: `load_policy(run).act(obs, task="reach-v3")`."""

    def __init__(self, weights: PolicyWeights, metadata: PolicyMetadata) -> None:
        self.weights = weights
        self.metadata = metadata
        self.tasks = metadata.tasks
        self._by_task: dict[str, NumpyPolicy] = {}
        self._rng = np.random.default_rng(0)

    def act(self, obs: Any, task: str, deterministic: bool = True) -> NDArray[np.float32]:
        """Choose the action f32[A] for one observation float[O] of the named task: the mode, or a sample.

        Raises:
            ValueError: an observation of another shape or not finite, or a task that the policy was not trained on.
        """
        row = np.asarray(obs, dtype=np.float32)
        if row.shape != (self.metadata.obs_dim,):
            raise ValueError(
                f"obs must have shape ({self.metadata.obs_dim},), got {row.shape}; pass one observation"
            )
        if not np.isfinite(row).all():
            raise ValueError(
                f"obs must be finite, got {int(np.sum(~np.isfinite(row)))} NaN or infinite values"
            )
        policy = self._policy(task)
        noise = None if deterministic else policy.draw_noise(self._rng, 1)[0]
        return policy.act(row[None], noise)[0]

    def _policy(self, task: str) -> NumpyPolicy:
        if task not in self.tasks:
            raise ValueError(
                f"task must be one that the policy was trained on, got {task!r}{did_you_mean(task, self.tasks)}; "
                f"its tasks are {', '.join(self.tasks)}"
            )
        if task not in self._by_task:
            self._by_task[task] = NumpyPolicy(self.weights, [self.tasks.index(task)], self.metadata.obs_dim)
        return self._by_task[task]


def load_policy(run_or_checkpoint: str | Path) -> LoadedPolicy:
    """Load the policy of a run (its newest checkpoint) or of one checkpoint.

    Raises:
        ValueError: there is none, or its file is damaged.
    """
    return LoadedPolicy(*read_policy(find_policy_file(run_or_checkpoint)))
