"""What a transition is, and the records that cross the replay service's boundary.

Dimension key, used in every shape comment of the project:
    B batch   T tasks   O observation   A action   M tasks of a shard   K knowledge slices   F features
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TransitionSpec:
    """The sizes that every transition of a run agrees on."""

    num_tasks: int
    obs_dim: int
    action_dim: int
    # T numbers, each task's own dimensions before padding; empty: no padding
    action_dims: tuple[int, ...] = ()


class TransitionBatch(NamedTuple):
    """Transitions as columns. `terminated` is no time limit; `next_obs` is then the final observation."""

    obs: NDArray[np.float32]  # f32[B, O]
    action: NDArray[np.float32]  # f32[B, A]
    reward: NDArray[np.float32]  # f32[B]
    next_obs: NDArray[np.float32]  # f32[B, O]
    terminated: NDArray[np.bool_]  # bool[B]
    task_id: NDArray[np.int32]  # i32[B]


class EpisodeEnd(NamedTuple):
    """One finished training episode."""

    task_id: int
    return_: float
    length: int
    success: bool | None  # None: the environment has no success flag
    weights_version: int


class ChunkId(NamedTuple):
    """Names a chunk once and for all: a retry carries the same id and is recognised as one."""

    actor: int
    incarnation: int  # counts the processes of this actor
    sequence: int  # counts this incarnation's chunks of this task, from 0


class Chunk(NamedTuple):
    """What an actor sends in one call: transitions of one task, and the episodes that ended in them."""

    id: ChunkId
    transitions: TransitionBatch  # B >= 1, one task only
    episodes: tuple[EpisodeEnd, ...]
    weights_version: int  # of the policy that acted


class InsertStatus(StrEnum):
    """What became of a chunk that was sent."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # this chunk was stored before; nothing is stored twice
    WAIT = "wait"  # the limiter did not admit it before the deadline; send the same chunk again
    CLOSED = "closed"  # the step budget is used up, or a newer incarnation has begun; nothing is stored


class InsertAck(NamedTuple):
    """A shard's answer to an insert."""

    status: InsertStatus
    learner_steps: int  # the newest count that the shard has received: bounds the policy lag


class ShardStats(NamedTuple):
    """A shard's counters, which every answer to the sampler holds. M is the number of tasks of the shard."""

    task_id: NDArray[np.int32]  # i32[M], ascending
    capacity: int  # slots per task
    inserted: NDArray[np.int64]  # i64[M], transitions ever stored; never falls
    size: NDArray[np.int64]  # i64[M], transitions held now
    sampled: NDArray[np.int64]  # i64[M], transitions ever drawn
    priority_mass: NDArray[np.float64]  # f64[M], sum of (p + epsilon)^alpha
    sampled_age: NDArray[np.float64]  # f64[M], transitions stored since, mean of the latest draw; nan before
    episodes: NDArray[np.int64]  # i64[M], episodes ever finished
    success_rate: NDArray[np.float64]  # f64[M], over the last episodes of the task; nan where none has a flag
    mean_return: NDArray[np.float64]  # f64[M], over the same episodes; nan before the first
    stale_updates: int  # priorities that arrived after their transition was overwritten
    duplicate_chunks: int  # retries that were recognised
    policy_lag_mean: float  # learner steps behind, mean over the latest chunks; nan before the first
    policy_lag_max: float
    incarnation: int  # counts the starts of this shard's process on its directory
    learner_steps: int
    process_name: str  # that no other process of the shard has, on whatever directory


class ShardSample(NamedTuple):
    """A shard's answer to one call: the rows of all batches, batch after batch, each sorted by task."""

    rows: NDArray  # row_dtype[B]
    task_id: NDArray[np.int32]  # i32[B]
    key: NDArray[np.int64]  # i64[B]
    probability: NDArray[np.float64]  # f64[B], P(i) within the task at the draw
    table_size: NDArray[np.int64]  # i64[B], N of the task at the draw
    discount: NDArray[np.float32] | None  # f32[B], gamma^steps of the rows; None: all are of one step
    stats: ShardStats


class SampleInfo(NamedTuple):
    """Where the rows of a batch are stored, for their new priorities, and how probable their draw was."""

    shard: NDArray[np.int32]  # i32[B]
    key: NDArray[np.int64]  # i64[B]
    probability: NDArray[np.float64]  # f64[B]


class SampledBatch(NamedTuple):
    """A batch ready to learn from. Rows are sorted by task."""

    transitions: TransitionBatch
    is_weight: NDArray[np.float32]  # f32[B], of mean one over the whole batch
    group_sizes: NDArray[np.int64]  # i64[T], rows of each task, as many as its quota; sums to B
    info: SampleInfo
    discount: NDArray[np.float32] | None = None  # f32[B], of the value at next_obs; None: that of one step


class SamplerState(TypedDict):
    """The sampler's part of a checkpoint."""

    samples: int
    inserted: list[int]
    refilled: NotRequired[int]  # inserts that took the place of lost ones and call for no samples


def shard_of_task(task_id: int, num_shards: int) -> int:
    """Return the one shard that a task lives on: tasks are assigned round-robin."""
    return task_id % num_shards
