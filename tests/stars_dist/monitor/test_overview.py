"""The overview: its numbers from hand-worked cases, its layout against the tags that there are."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest

from actors.evaluation_result import EpisodeResult, EvaluationResult, TaskEvaluation
from stars_dist.monitor.metric_descriptions import DESCRIPTIONS, describe
from stars_dist.monitor.overview import (
    LAYOUT,
    mean_interval,
    overview_of_evaluation,
    overview_of_learner,
    overview_of_rollouts,
)


def evaluation(*successes: Sequence[bool | None]) -> EvaluationResult:
    tasks = tuple(
        TaskEvaluation.of(f"task-{i}", [EpisodeResult(success, 2.0 * i) for success in task])
        for i, task in enumerate(successes)
    )
    return EvaluationResult("toy:2", "x", 100, 9, len(successes[0]), tasks)


def test_the_interval_of_one_task_is_its_own() -> None:
    one = evaluation([True] * 3 + [False] * 7)
    assert mean_interval(one) == pytest.approx(one.tasks[0].ci95)


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.1, 0.1), (0.5, 0.5), (0.02, 0.98)])
def test_the_interval_covers_the_true_mean_in_nineteen_of_twenty_evaluations(
    rates: tuple[float, ...],
) -> None:
    rng, n, draws = np.random.default_rng(7), 50, 400
    inside = 0
    for successes in rng.binomial(n, rates, size=(draws, len(rates))).tolist():
        tasks = tuple(TaskEvaluation("x", count / n, n, (0.0, 1.0), 0.0) for count in successes)
        low, high = mean_interval(EvaluationResult("toy:2", "x", 100, 9, n, tasks))
        inside += low <= np.mean(rates) <= high
    assert inside >= draws * 0.95 - 3 * math.sqrt(draws * 0.95 * 0.05)


def test_an_evaluation_without_flags_has_a_return_alone() -> None:
    assert overview_of_evaluation(evaluation([None, None], [None, None])) == {"overview/eval_return": 1.0}


def test_rollouts_count_the_tasks_that_are_known() -> None:
    values = overview_of_rollouts(np.array([1.0, 0.0, np.nan]), np.array([4.0, 2.0, np.nan]))
    assert (values["overview/success"], values["overview/success_std"]) == (0.5, 0.5)
    assert (values["overview/tasks_at_zero"], values["overview/return"]) == (1.0, 3.0)
    unknown = np.full(3, np.nan)
    assert overview_of_rollouts(unknown, unknown) == {}


def test_quotas_are_shares_of_the_batch_and_the_temperature_a_geometric_mean() -> None:
    report = {"sampling/quota/a": 6.0, "sampling/quota/b": 2.0, "train/alpha/a": 0.1, "train/alpha/b": 0.001}
    values = overview_of_learner(report | {"train/critic_loss": 7.0}, ["a", "b"])
    assert (values["overview/quota_least"], values["overview/quota_most"]) == (0.25, 0.75)
    assert values["overview/alpha"] == pytest.approx(0.01)
    assert values["overview/critic_loss"] == 7.0
    assert overview_of_learner({"train/critic_loss": 7.0}, ["a", "b"]) == {"overview/critic_loss": 7.0}


def test_every_chart_of_the_layout_shows_tags_that_there_are() -> None:
    tags = [f"{name}task" if name.endswith("/") else name for name in DESCRIPTIONS]
    for category in LAYOUT.values():
        for title, (_, patterns) in category.items():
            assert all(any(re.match(pattern, tag) for tag in tags) for pattern in patterns), title


def test_a_tag_of_a_task_has_the_description_of_its_group() -> None:
    assert describe("train/critic_loss/push-v3") == str(DESCRIPTIONS["train/critic_loss/"])
    assert describe("train/critic_loss") == str(DESCRIPTIONS["train/critic_loss"])
    assert describe("nothing/known") == ""
