"""Ranges of the configuration and the checks of a plan."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from replay_service.config import ReplayConfig, SamplingConfig, TaskPriorityConfig
from replay_service.plan import ReplayPlan

MakePlan = Callable[..., ReplayPlan]


@pytest.mark.parametrize(
    ("model", "values", "field"),
    [
        (ReplayConfig, {"capacity_per_task": 0}, "capacity_per_task"),
        (ReplayConfig, {"storage": "disk"}, "storage"),
        (ReplayConfig, {"samples_per_insert": 0.0}, "samples_per_insert"),
        (ReplayConfig, {"error_buffer": float("nan")}, "error_buffer"),
        (ReplayConfig, {"max_unacknowledged_chunks": 33}, "max_unacknowledged_chunks"),
        (ReplayConfig, {"snapshot_every_env_steps": 0}, "snapshot_every_env_steps"),
        (ReplayConfig, {"snapshot_keep_last": 0}, "snapshot_keep_last"),
        (ReplayConfig, {"capacity": 10}, "capacity"),
        (SamplingConfig, {"priority_exponent": -0.1}, "priority_exponent"),
        (SamplingConfig, {"priority_epsilon": 0.0}, "priority_epsilon"),
        (SamplingConfig, {"is_exponent_end": 1.1}, "is_exponent_end"),
        (SamplingConfig, {"batch_size_per_task": 1}, "quota_floor must be at most batch_size_per_task"),
        (TaskPriorityConfig, {"offset": 0.0}, "offset"),
        (TaskPriorityConfig, {"offset": 1e-40}, "offset"),
        (TaskPriorityConfig, {"exponent": -1.0}, "exponent"),
        (TaskPriorityConfig, {"clip_low": 1.1}, "clip_low"),
        (TaskPriorityConfig, {"clip_high": 0.9}, "clip_high"),
        (TaskPriorityConfig, {"window_episodes": 129}, "window_episodes"),
    ],
)
def test_values_out_of_range_are_refused_by_name(model: type, values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        model(**values)


def test_is_exponent_is_linear_and_stays_at_its_ends() -> None:
    sampling = SamplingConfig()
    values = [sampling.is_exponent(progress) for progress in (-1.0, 0.0, 0.5, 1.0, 2.0)]
    assert values == pytest.approx([0.4, 0.4, 0.7, 1.0, 1.0])


@pytest.mark.parametrize(("tasks", "shards"), [(1, 1), (10, 1), (11, 2), (50, 5), (1000, 16)])
def test_shards_chosen_for_the_tasks(tasks: int, shards: int) -> None:
    assert ReplayConfig().shards_for(tasks) == shards


def test_values_derived_for_mt10(make_plan: MakePlan) -> None:
    """The protocol of the design: batch 1280, one update per T environment steps, 4 k of warm-up per task."""
    replay = {"capacity_per_task": 100_000, "warmup_steps_per_task": 4000}
    plan = make_plan(10, replay, {"batch_size_per_task": 128}, total_steps=20_000_000, chunk_steps=100)
    assert plan.batch_size == 1280
    assert plan.samples_per_insert == 128  # 1280 rows for 10 inserts
    assert plan.steps_per_task == 2_000_000
    assert plan.limiter().min_size == 40_000
    assert plan.error_buffer == 2 * (2 * 1280 + 128 * 100 * 10) / 2


def test_every_task_lives_on_one_shard(make_plan: MakePlan) -> None:
    plan = make_plan(7, {"num_shards": 3})
    assert [plan.tasks_of_shard(shard) for shard in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]


def test_a_table_smaller_than_the_warmup_need_only_be_full(make_plan: MakePlan) -> None:
    assert make_plan(2, {"capacity_per_task": 5, "warmup_steps_per_task": 8}).warmup_steps == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"replay": {"num_shards": 3}}, "got 3 shards for 2 tasks; use --shards 2"),
        ({"replay": {"error_buffer": 1.0}}, r"error_buffer must be at least 24 rows, .* got 1; raise it"),
        ({"chunk_steps": 33}, "got chunks of 33 steps for replay.capacity_per_task=32"),
        ({"sampling": {"n_step": 5}}, "got sampling.n_step=5 for chunks of 4 steps; lower sampling.n_step"),
        ({"total_steps": 16}, "got 8 steps per task with 8 of warm-up; raise --steps"),
        ({"batches_per_call": 0}, "batches_per_call must be at least 1, got 0"),
    ],
)
def test_plans_that_cannot_run_are_refused(
    make_plan: MakePlan, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_plan(**arguments)
