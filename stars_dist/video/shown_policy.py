"""The policy that a video shows: its weights, and the environments that it acts in."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from actors.config import EnvironmentConfig
from actors.policy_weights import PolicyWeights
from actors.tasks import Suite
from stars_dist.evaluate import read_checkpoint_policy


class ShownPolicy(NamedTuple):
    """A policy with its suite, seed of the goals and environments."""

    name: str
    weights: PolicyWeights
    suite: Suite
    seed: int
    environment: EnvironmentConfig


def read_shown_policy(run_or_checkpoint: Path) -> ShownPolicy:
    """Read the policy of a run's newest checkpoint, or of one checkpoint; ValueError where there is none."""
    policy = read_checkpoint_policy(run_or_checkpoint)
    config = policy.plan.config
    return ShownPolicy(
        str(run_or_checkpoint), policy.weights, policy.plan.suite, config.seed, config.environment
    )
