"""Checks of a run's configuration as a whole, each a ValueError of one line with rule, value and remedy."""

from __future__ import annotations

import math

from actors.tasks import Suite
from replay_service.plan import ReplayPlan
from stars_dist.config.run_config import RunConfig


def check_contrast(config: RunConfig) -> None:
    """Refuse a contrastive loss without a second row of a task in a batch."""
    rows = config.sampling.batch_size_per_task
    if config.network.unique.is_contrastive and rows < 2:
        raise ValueError(
            f"a contrastive loss needs two rows per task in a batch, got sampling.batch_size_per_task {rows}; raise it "
            "or use --set network.unique.triplet_weight=0"
        )


def check_rows(config: RunConfig, suite: Suite) -> None:
    """Refuse rows that sum up more steps than an episode has."""
    longest = max(task.horizon for task in suite.tasks)
    longest = min(longest, config.actors.training_horizon or longest)
    if config.sampling.n_step > longest:
        raise ValueError(
            f"a row can sum up at most the steps of an episode, got sampling.n_step={config.sampling.n_step} for "
            f"training episodes of {longest} steps; lower sampling.n_step"
        )


def check_learners(config: RunConfig, batch_size: int) -> None:
    """Refuse several learners where they cannot share a batch of that size."""
    count = config.learner.num_learners
    if count == 1:
        return
    if config.serial:
        raise ValueError(
            f"a serial run has one learner, got learner.num_learners {count}; leave out --serial or --learners"
        )
    if batch_size % count:
        raise ValueError(
            f"each learner must have as many rows of a batch, got learner.num_learners {count} for batches of "
            f"{batch_size} rows; use a divisor of {batch_size}, or another sampling.batch_size_per_task"
        )
    if config.learner.prefetch_calls > 1:
        raise ValueError(
            "several learners draw one call after another, got learner.prefetch_calls "
            f"{config.learner.prefetch_calls}; use --set learner.prefetch_calls=1"
        )


def check_learns(replay: ReplayPlan) -> None:
    """Refuse a new run without an update in it; one of an earlier version without any can still be read."""
    if replay.updates_due(replay.total_steps) < 1:
        least = math.ceil(replay.batch_size / replay.samples_per_insert)
        raise ValueError(
            f"a run must make an update, and the first one is due {least:,} steps after the warm-up, got "
            f"{replay.total_steps:,} steps with {replay.total_warmup_steps:,} of warm-up; raise --steps"
        )
