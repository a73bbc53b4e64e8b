"""Meta-World's own scripted policies: what solves a task without learning, for proofs and measurements."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def scripted_policy(task: str) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """Make a task's policy: from an observation, whose goal must be visible, to an action within [-1, 1]."""
    from metaworld.policies import ENV_POLICY_MAP

    policy: Any = ENV_POLICY_MAP[task]()

    def act(obs: NDArray[Any]) -> NDArray[np.float32]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some of its actions leave [-1, 1]
            return np.clip(policy.get_action(obs), -1, 1).astype(np.float32)

    return act
