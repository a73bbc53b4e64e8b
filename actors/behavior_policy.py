"""The behavior policy: what acts in an actor's environments to collect transitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from actors.env_runner import EnvRunner
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from actors.tasks import Suite


class BehaviorPolicy:
    """Uniform random actions until the learner has made an update, then samples of the newest policy.

    With `warmup_actions="policy"` the untrained policy acts from the first weights on.
    """

    def __init__(
        self, suite: Suite, warmup_actions: Literal["random", "policy"], rng: np.random.Generator
    ) -> None:
        self._obs_dim, self._action_dim = suite.obs_dim, suite.action_dim
        self._random_warmup = warmup_actions == "random"
        self._rng = rng
        self._policy: NumpyPolicy | None = None
        self._is_random = True
        self._task_ids: list[int] = []
        self._composed_for: tuple[int, list[int]] | None = None
        self._noise: Iterator[NDArray[np.float32]] = iter(())  # of the chunk's coming steps
        mask = suite.action_mask
        self._action_mask = mask if (mask == 0.0).any() else None  # none where every task has all components

    def compose(self, weights: PolicyWeights | None, task_ids: list[int]) -> None:
        """Act with these weights in environments of these tasks from now on; only what is new costs anything."""
        self._task_ids = task_ids
        if weights is None:
            return
        if self._composed_for != (weights.version, task_ids):
            self._policy = NumpyPolicy(weights, task_ids, self._obs_dim)
            self._composed_for = (weights.version, task_ids)
        self._is_random = self._random_warmup and not weights.are_trained

    def act(self, runners: Sequence[EnvRunner]) -> NDArray[np.float32]:
        """Choose actions f32[E, A] for E environments; components that a task does not have are zero."""
        actions = self._sample(runners)
        return actions if self._action_mask is None else actions * self._action_mask[self._task_ids]

    def _sample(self, runners: Sequence[EnvRunner]) -> NDArray[np.float32]:
        if self._policy is None or self._is_random:
            return self._rng.uniform(-1.0, 1.0, (len(runners), self._action_dim)).astype(np.float32)
        obs = np.array([runner.obs for runner in runners])  # in half of np.stack's time
        noise = next(self._noise, None)
        if noise is None:  # drawn for the rest of the chunk at once; a failed episode makes it longer
            steps = max(runner.missing_steps for runner in runners)
            self._noise = iter(self._policy.draw_noise(self._rng, steps))
            noise = next(self._noise)
        return self._policy.act(obs, noise)
