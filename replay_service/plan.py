"""The plan of a replay service: the configuration and the sizes of a run, checked against each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.limiter import RateLimiter, least_error_buffer
from replay_service.types import TransitionSpec, shard_of_task


@dataclass(frozen=True)
class ReplayPlan:
    """Everything that shards, writers and the sampler must agree on; each of them is built from it."""

    spec: TransitionSpec
    replay: ReplayConfig
    sampling: SamplingConfig
    total_steps: int  # environment steps of the whole run, all tasks together
    chunk_steps: int  # greatest number of transitions that an actor sends at once
    batches_per_call: int  # greatest number of batches that the learner asks for at once
    seed: int
    gamma: float  # discount per environment step within a row of several, see sampling.n_step

    def __post_init__(self) -> None:
        """Check the sizes against each other; ValueError with rule and remedy."""
        for name in ("total_steps", "chunk_steps", "batches_per_call"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}; raise it")
        self._check_sizes()
        least = self._least_error_buffer
        if self.error_buffer < least:
            raise ValueError(
                f"replay.error_buffer must be at least {least:g} rows, or actors and learner wait for each "
                f"other, got {self.error_buffer:g}; raise it or leave it out to have it chosen"
            )

    def _check_sizes(self) -> None:
        capacity = self.replay.capacity_per_task
        if self.chunk_steps > capacity:
            raise ValueError(
                f"a chunk must fit into a table, got chunks of {self.chunk_steps} steps for "
                f"replay.capacity_per_task={capacity}; send smaller chunks or raise the capacity"
            )
        if self.sampling.n_step > self.chunk_steps:
            raise ValueError(
                f"a row can sum up at most the steps of a chunk, got sampling.n_step={self.sampling.n_step} for chunks "
                f"of {self.chunk_steps} steps; lower sampling.n_step or raise actors.chunk_steps"
            )
        if self.steps_per_task <= self.warmup_steps:
            raise ValueError(
                f"a run must be longer than its warm-up, got {self.steps_per_task} steps per task with "
                f"{self.warmup_steps} of warm-up; raise --steps or lower replay.warmup_steps_per_task"
            )
        self.replay.shards_for(self.num_tasks)

    @property
    def num_tasks(self) -> int:
        """Tasks of the run."""
        return self.spec.num_tasks

    @property
    def num_shards(self) -> int:
        """Shards of the run."""
        return self.replay.shards_for(self.num_tasks)

    @property
    def batch_size(self) -> int:
        """Rows of a batch, all tasks together."""
        return self.sampling.batch_size_per_task * self.num_tasks

    @property
    def steps_per_task(self) -> int:
        """The step budget of a task; a task is closed once it has stored so many transitions."""
        return math.ceil(self.total_steps / self.num_tasks)

    @property
    def warmup_steps(self) -> int:
        """Transitions that every table must hold before the first sample; a small table need only be full."""
        return min(self.replay.warmup_steps_per_task, self.replay.capacity_per_task)

    @property
    def total_warmup_steps(self) -> int:
        """The warm-up of all tasks together."""
        return self.warmup_steps * self.num_tasks

    @property
    def samples_per_insert(self) -> float:
        """Rows drawn per transition stored after the warm-up."""
        return self.replay.samples_per_insert or self.batch_size / self.num_tasks

    def updates_in(self, env_steps: int) -> float:
        """Return the updates for so many steps after the warm-up: samples_per_insert * env_steps / batch_size."""
        return self.samples_per_insert * env_steps / self.batch_size

    def updates_due(self, env_steps: int) -> float:
        """Return the updates that the run is due at `env_steps` in all, warm-up included."""
        return self.updates_in(max(env_steps - self.total_warmup_steps, 0))

    def measured_samples_per_insert(self, env_steps: int, updates: int) -> float:
        """Return the rows learned from per transition stored after the warm-up; nan before its end."""
        inserted = env_steps - self.total_warmup_steps
        return updates * self.batch_size / inserted if inserted > 0 else float("nan")

    @property
    def error_buffer(self) -> float:
        """Rows that the limiter may be off the configured ratio, either way."""
        return self.replay.error_buffer or 2 * self._least_error_buffer

    @property
    def _least_error_buffer(self) -> float:
        rows_per_call = self.batches_per_call * self.batch_size
        return least_error_buffer(rows_per_call, self.samples_per_insert, self.chunk_steps * self.num_tasks)

    def limiter(self) -> RateLimiter:
        """Create a limiter at the start of the run."""
        return RateLimiter(self.samples_per_insert, self.total_warmup_steps, self.error_buffer)

    def tasks_of_shard(self, shard: int) -> list[int]:
        """List the tasks that live on a shard, ascending."""
        return [task for task in range(self.num_tasks) if shard_of_task(task, self.num_shards) == shard]
