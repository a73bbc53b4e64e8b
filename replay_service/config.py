"""Configuration of the replay service: how transitions are kept (replay) and drawn (sampling)."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from replay_service.priority import is_exponent_at

MOST_SHARDS = 16  # that are chosen unasked: all of them run on one node


class ReplayConfig(BaseModel):
    """How transitions are kept, and how inserting and sampling are held at one ratio."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    capacity_per_task: int = Field(
        default=100_000, ge=1, description="ring size of each task's table, transitions"
    )
    storage: Literal["mapped", "memory"] = Field(
        default="mapped",
        description="mapped: in files of the run directory, survives a killed process; memory: does not",
    )
    directory: str | None = Field(
        default=None,
        min_length=1,
        description="where the mapped files have a directory of their own, such as a fast disk of the node that the "
        "program runs on; none: in the run directory",
    )
    num_shards: int | None = Field(
        default=None, ge=1, description="shard processes; null: one per ten tasks, rounded up, and at most 16"
    )
    warmup_steps_per_task: int = Field(
        default=4000, ge=1, description="transitions each task must hold before the first sample"
    )
    samples_per_insert: float | None = Field(
        default=None, gt=0, description="rows drawn per stored transition; null: batch size / tasks"
    )
    error_buffer: float | None = Field(
        default=None,
        gt=0,
        description="allowed deviation from samples_per_insert, rows; null: twice the least safe value",
    )
    max_unacknowledged_chunks: int = Field(
        default=2, ge=1, le=32, description="chunks of one task that an actor may have in flight, chunks"
    )
    insert_timeout_s: float = Field(
        default=10.0,
        ge=0,
        description="how long a shard holds a chunk that the limiter does not admit, seconds",
    )
    insert_deadline_s: float = Field(
        default=1800.0,
        gt=0,
        description="how long an actor tries to hand over one chunk before it gives up, seconds",
    )
    snapshot_every_env_steps: int | None = Field(
        default=None,
        ge=1,
        description="environment steps, all tasks together, between snapshots for lost hosts; null: no snapshots",
    )
    snapshot_keep_last: int = Field(default=2, ge=1, description="newest snapshots that are kept")
    snapshot_dir: str | None = Field(
        default=None,
        description="where each run's snapshots have a directory of their own, on storage that every host sees; "
        "null: in the run directory",
    )
    call_timeout_s: float = Field(
        default=60.0, gt=0, description="longest answer time of a shard's call, seconds"
    )
    acknowledgement_log: str | None = Field(
        default=None,
        min_length=1,
        description="directory in which each actor notes the chunks that were acknowledged, with digests of their "
        "transitions, for an audit as of `stars-dist chaos`; null: nothing is noted",
    )

    def shards_for(self, num_tasks: int) -> int:
        """Return the number of shards of a run with `num_tasks` tasks.

        Raises:
            ValueError: more shards than tasks are configured.
        """
        if self.num_shards is None:
            return min(math.ceil(num_tasks / 10), MOST_SHARDS)
        if self.num_shards > num_tasks:
            raise ValueError(
                f"shards must be at most the number of tasks, got {self.num_shards} shards "
                f"for {num_tasks} tasks; use --shards {num_tasks}"
            )
        return self.num_shards


class TaskPriorityConfig(BaseModel):
    """How the success rates of the tasks shape their shares of a batch."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: bool = Field(default=True, description="false: every task has the same share")
    offset: float = Field(
        default=0.1, ge=1e-6, description="added to 1 - success rate, so that solved tasks stay in, ratio"
    )
    exponent: float = Field(
        default=1.0, ge=0, le=10, description="power of that sum; 0: uniform, above 1: sharper, power"
    )
    clip_low: float = Field(
        default=0.5, gt=0, le=1, description="least share of a task, multiples of the uniform share"
    )
    clip_high: float = Field(
        default=2.0, ge=1, description="greatest share of a task, multiples of the uniform share"
    )
    window_episodes: int = Field(
        default=20, ge=1, le=128, description="newest training episodes that count, episodes"
    )
    quota_floor: int = Field(default=2, ge=0, description="least rows of a task in a batch, rows")


class SamplingConfig(BaseModel):
    """How batches are drawn. Uniform sampling is priority_exponent=0 with task_priority.enabled=false."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    batch_size_per_task: int = Field(
        default=128, ge=1, description="rows of a batch per task of the run, rows"
    )
    priority_exponent: float = Field(
        default=0.6, ge=0, le=2, description="alpha in P(i) = p_i^alpha / sum p^alpha, power"
    )
    priority_epsilon: float = Field(
        default=1e-6, gt=0, description="added to every priority, units of |td_error|"
    )
    is_exponent_start: float = Field(
        default=0.4, ge=0, le=1, description="beta of (N P(i))^-beta at the start, power"
    )
    is_exponent_end: float = Field(
        default=1.0, ge=0, le=1, description="beta of (N P(i))^-beta at the end, power"
    )
    n_step: int = Field(
        default=1,
        ge=1,
        le=50,
        description="environment steps whose rewards a drawn row sums up before the value of the observation that "
        "follows, fewer where its episode or its chunk ends; 1: the stored transition (FastTD3 takes 8), steps",
    )
    task_priority: TaskPriorityConfig = Field(
        default_factory=TaskPriorityConfig, description="shares of the tasks in a batch"
    )

    @model_validator(mode="after")
    def _floor_fits(self) -> Self:
        floor = self.task_priority.quota_floor
        if floor > self.batch_size_per_task:
            raise ValueError(
                f"task_priority.quota_floor must be at most batch_size_per_task, got {floor} with "
                f"{self.batch_size_per_task}; lower the floor or raise the batch"
            )
        return self

    def is_exponent(self, progress: float) -> float:
        """Return beta of the importance weights after the share `progress` (0 to 1) of the training."""
        return is_exponent_at(progress, self.is_exponent_start, self.is_exponent_end)
