"""The unique features before the first update, on real observations: neither a code of the task nor one point.

What the random actions below give: mt10 0.52 of the triplets active and 0.37 of the variance within tasks, mt50 0.46
and 0.31, starter with laptop 0.54 and 0.51.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from actors.environment import build_environment
from actors.suites import prepare_suite
from learner.batch import BatchCopier
from replay_service.types import SampledBatch, SampleInfo, TransitionBatch
from stars_dist.build.learner import fresh_learner
from stars_dist.config.merge import flag_layer, resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan

EPISODES, STEPS = 4, 64  # of each task, by random actions


def _plan(suite: str, *presets: str, sets: tuple[str, ...] = ()) -> RunPlan:
    layers = [flag_layer("--suite", "suite", suite), *map(preset_layer, presets), *map(set_layer, sets)]
    return resolve(layers).plan


def _random_batch(plan: RunPlan, goals: Path) -> SampledBatch:
    """Equal numbers of transitions of every task; goals are computed once for all environments."""
    prepare_suite(plan.suite, plan.config.seed, goals)
    rng, rows = np.random.default_rng(0), []
    for task in range(plan.num_tasks):
        env = build_environment(plan.suite, task, plan.config.seed, (), plan.config.environment, goals)
        for _ in range(EPISODES):
            obs, _ = env.reset()
            for _ in range(STEPS):
                action = rng.uniform(-1, 1, plan.suite.action_dim).astype(np.float32)
                next_obs, reward, terminated, _, _ = env.step(action)
                rows.append((obs, action, np.float32(reward), next_obs, terminated, np.int32(task)))
                obs = next_obs
        env.close()
    transitions = TransitionBatch(*(np.stack(column) for column in zip(*rows, strict=True)))
    size = len(rows)
    info = SampleInfo(np.zeros(size, np.int32), np.arange(size), np.full(size, 1 / size))
    group_sizes = np.full(plan.num_tasks, EPISODES * STEPS)
    return SampledBatch(transitions, np.ones(size, np.float32), group_sizes, info)


def _first_metrics(plan: RunPlan, goals: Path) -> dict[str, float]:
    """Of the first update, whose features are those of the actor before it."""
    learner = fresh_learner(plan)
    result = learner.update(BatchCopier(torch.device("cpu"))(_random_batch(plan, goals)))
    return result.metrics(learner.task_names)


@pytest.mark.parametrize(
    ("suite", "presets"),
    [
        ("starter", ("stars", "laptop")),
        ("mt10", ("stars",)),
        pytest.param("mt50", ("stars",), marks=pytest.mark.slow),
    ],
)
def test_the_contrastive_loss_has_something_to_do(
    suite: str, presets: tuple[str, ...], tmp_path: Path
) -> None:
    plan = _plan(suite, *presets, sets=("sac.actor_every=1",))  # the first update moves the actor
    metrics = _first_metrics(plan, tmp_path / "goals.npz")
    assert metrics["train/contrastive_active"] >= 0.1
    assert metrics["train/unique_within_share"] >= 0.25
    assert metrics["train/triplet_loss"] > 0


def test_a_large_z_beside_raw_observations_is_a_mere_code_of_the_task(tmp_path: Path) -> None:
    """What the starting values are against: no triplet is active at the margin of before, nor much within a task."""
    sets = (
        "network.unique.task_init_std=1.0",
        "network.unique.normalize_input=false",
        "network.unique.triplet_margin=0.2",
        "network.unique.within_variance=0.0",
    )
    metrics = _first_metrics(_plan("mt10", "stars", sets=sets), tmp_path / "goals.npz")
    assert metrics["train/contrastive_active"] < 0.02
    assert metrics["train/unique_within_share"] < 0.05
