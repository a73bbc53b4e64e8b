"""When evaluations, checkpoints and snapshots are due."""

from __future__ import annotations

import pytest

from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.run_plan import RunPlan
from stars_dist.schedule import (
    StepPeriod,
    checkpoint_period_updates,
    evaluation_period,
    snapshot_period,
)


def plan_of(*sets: str) -> RunPlan:
    return resolve([*map(set_layer, ("suite=toy:4", *sets))]).plan


def due_at(period: StepPeriod, first: int, last: int, stride: int = 1) -> list[int]:
    return [steps for steps in range(first, last + 1, stride) if period.is_due(steps)]


def test_due_once_at_every_multiple() -> None:
    assert due_at(StepPeriod(100, 0), 0, 350) == [100, 200, 300]


def test_due_at_the_first_step_past_a_multiple() -> None:
    """Steps arrive in chunks, and several multiples that one chunk passes are one."""
    assert due_at(StepPeriod(100, 0), 0, 560, stride=80) == [160, 240, 320, 400, 560]
    period = StepPeriod(100, 0)
    assert period.is_due(730)
    assert period.due_at == 800
    assert not period.is_due(730)


@pytest.mark.parametrize(
    ("resumed_at", "next_due"), [(0, 100), (99, 100), (100, 200), (101, 200), (250, 300)]
)
def test_a_resumed_run_goes_on_at_the_next_multiple(resumed_at: int, next_due: int) -> None:
    period = StepPeriod(100, resumed_at)
    assert not period.is_due(resumed_at)
    assert due_at(period, resumed_at, 310)[0] == next_due


def test_nothing_is_due_beyond_the_last() -> None:
    assert due_at(StepPeriod(100, 0, last_at=300), 0, 1000) == [100, 200, 300]
    assert due_at(StepPeriod(100, 0, last_at=299), 0, 1000) == [100, 200]


@pytest.mark.parametrize(
    ("every", "due"),
    [
        (1000, [1000, 2000, 3000]),  # 4000 is the end
        (1600, [1600, 3200]),  # the end is half a period later
        (1601, [1601]),  # 3202 is nearer to the end than half a period
        (3000, []),
        (5000, []),
    ],
)
def test_the_evaluation_at_the_end_covers_the_last_half_period(every: int, due: list[int]) -> None:
    plan = plan_of("steps=4000", f"evaluation.every_env_steps={every}")
    assert due_at(evaluation_period(plan, 0), 0, 4000) == due


def test_evaluations_go_on_in_the_middle_of_a_run() -> None:
    plan = plan_of("steps=4000", "evaluation.every_env_steps=1000")
    assert due_at(evaluation_period(plan, 2200), 2200, 4000) == [3000]


def test_snapshots_are_taken_only_if_asked_for() -> None:
    assert snapshot_period(plan_of(), 0) is None
    period = snapshot_period(plan_of("steps=4000", "replay.snapshot_every_env_steps=1500"), 0)
    assert period is not None
    assert due_at(period, 0, 4000) == [1500, 3000]


@pytest.mark.parametrize(
    ("sets", "updates"),
    [
        (("checkpoint.every_env_steps=4000",), 1000),  # one update per four steps of four tasks
        (("checkpoint.every_env_steps=4000", "replay.samples_per_insert=32"), 250),
        (("checkpoint.every_env_steps=1",), 1),
        (("steps=80000",), None),  # by time
    ],
    ids=["standard ratio", "a quarter of it", "at least one", "default"],
)
def test_the_learner_counts_checkpoints_in_updates(sets: tuple[str, ...], updates: int | None) -> None:
    assert checkpoint_period_updates(plan_of(*sets)) == updates
