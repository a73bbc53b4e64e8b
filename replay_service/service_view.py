"""The service view: what the learner's side knows of all shards, from the newest counters of each."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from replay_service.plan import ReplayPlan
from replay_service.types import ShardStats


class ServiceView:
    """The newest counters of the shards, by shard and by task."""

    def __init__(self, plan: ReplayPlan) -> None:
        self._plan = plan
        self.stats: list[ShardStats | None] = [None] * plan.num_shards
        self._known_since = [0.0] * plan.num_shards  # when the shard's process first answered here
        self.inserted = np.zeros(plan.num_tasks, np.int64)  # i64[T], transitions ever stored; never falls
        self.size = np.zeros(plan.num_tasks, np.int64)  # i64[T]
        self.success_rate = np.full(plan.num_tasks, np.nan)  # f64[T]

    def record(self, shard: int, stats: ShardStats, asked_at: float) -> bool:
        """Record a shard's counters; return whether the shard has lost transitions that were known before.

        Of calls in flight side by side one may be answered late: counters that a process has since passed are left out,
        as are those of a process before, whose call was sent, `asked_at` by the monotonic clock, before the newest one
        was heard of.
        """
        task, newest = stats.task_id, self.stats[shard]
        if newest is None or newest.process_name != stats.process_name:
            if asked_at < self._known_since[shard]:
                return False
            self._known_since[shard] = time.monotonic()
        elif (stats.inserted < newest.inserted).any():
            return False
        lost = bool((stats.inserted < self.inserted[task]).any())
        self.stats[shard] = stats
        self.inserted[task] = np.maximum(stats.inserted, self.inserted[task])
        self.size[task] = stats.size
        self.success_rate[task] = stats.success_rate
        return lost

    @property
    def is_complete(self) -> bool:
        """Whether every shard has answered."""
        return all(stats is not None for stats in self.stats)

    @property
    def cold_tasks(self) -> list[int]:
        """The tasks whose tables hold less than the warm-up, unless they have used up their step budget."""
        return np.flatnonzero(~self._warm).tolist()

    @property
    def is_warm(self) -> bool:
        """Whether every shard has answered and no task is cold."""
        return self.is_complete and bool(self._warm.all())

    @property
    def is_closed(self) -> bool:
        """Whether every task has used up its step budget."""
        return bool(self._closed.all())

    @property
    def is_gone(self) -> bool:
        """Whether a task that has used up its step budget has lost all of its transitions: no more of it will come."""
        return self.is_complete and bool((self._closed & (self.size == 0)).any())

    @property
    def _closed(self) -> NDArray[np.bool_]:
        return self.inserted >= self._plan.steps_per_task

    @property
    def _warm(self) -> NDArray[np.bool_]:
        """A table that was lost near the end of a run never holds the warm-up again: what it takes in is enough."""
        return (self.size >= self._plan.warmup_steps) | (self._closed & (self.size > 0))
