"""The mirror's feed: brings the shards' rows into the mirror, and the mirror's priorities to the shards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learner.replay_mirror import ReplayMirror
from replay_service.plan import ReplayPlan
from replay_service.row_feed import ShardRows
from replay_service.sampler import ReplaySampler

ROWS_PER_FETCH = 50_000  # of a shard: 17 MB of MT10's


class MirrorFeed:
    """Keeps count of what the mirror holds of each table, by the shards' own counts and keys.

    `fetch` may be called from a thread of its own, the rest from the learner's.
    """

    def __init__(self, plan: ReplayPlan, sampler: ReplaySampler, mirror: ReplayMirror) -> None:
        self._plan, self._sampler, self._mirror = plan, sampler, mirror
        tasks = plan.num_tasks
        # As fetched: which table of a task, and how many of its rows.
        self._first_key, self._count = np.zeros(tasks, np.int64), np.zeros(tasks, np.int64)
        self._inserted = np.zeros(tasks, np.int64)  # the same in the shards' running counts
        # As applied to the mirror.
        self._mirrored_key, self._mirrored = np.zeros(tasks, np.int64), np.zeros(tasks, np.int64)
        self._is_filled = np.zeros(tasks, np.bool_)  # whether the mirror has caught up with the table once
        # Rows drawn, by the learner's thread, and those that the shards were told of, by the one that fetches.
        self._drawn, self._told = np.zeros(tasks, np.int64), np.zeros(tasks, np.int64)

    @property
    def num_shards(self) -> int:
        """Shards that are mirrored."""
        return self._plan.num_shards

    @property
    def is_ready(self) -> bool:
        """Whether the mirror has caught up with every table once, and each holds the warm-up."""
        return bool(self._is_filled.all() and self.size.min() >= self._plan.warmup_steps)

    @property
    def is_behind(self) -> bool:
        """Whether the shards have told of rows that are not fetched yet."""
        stats = self._sampler.stats
        is_complete = len(stats) == self._plan.num_shards
        return not is_complete or any((s.inserted > self._inserted[s.task_id]).any() for s in stats)

    @property
    def size(self) -> NDArray[np.int64]:
        """Rows of each table that the mirror holds, i64[T]."""
        return np.minimum(self._mirrored, self._plan.replay.capacity_per_task)

    def note_drawn(self, quota: NDArray[np.int64]) -> None:
        """Count a batch, for the shards' own counters."""
        self._drawn += quota

    def fetch(self, learner_steps: int) -> list[ShardRows]:
        """Ask all shards for what the mirror has not; tell them what was drawn."""
        sampled = self._drawn - self._told
        arguments = (self._first_key, self._count, sampled, ROWS_PER_FETCH, learner_steps)
        answers = self._sampler.fetch_rows(*arguments)
        for answer in answers:
            task = answer.task_id
            self._told[task] += sampled[task]
            self._first_key[task], self._count[task] = answer.first_key, answer.end
            self._inserted[task] = answer.stats.inserted - (answer.newest - answer.end)
        return answers

    def apply(self, answer: ShardRows) -> None:
        """Put fetched rows into the mirror, in the order in which they were fetched."""
        task = answer.task_id.astype(np.int64)
        is_other = (self._mirrored_key[task] != answer.first_key) | (answer.first < self._mirrored[task])
        for lost in task[is_other]:
            self._mirror.clear(int(lost))
            self._is_filled[lost] = False
        self._mirrored_key[task], self._mirrored[task] = answer.first_key, answer.end
        self._insert(answer, task)
        self._mirror.set_sizes(self.size)
        if not self._is_filled.all():
            greatest = np.zeros(len(self._mirrored))
            greatest[task] = answer.max_priority
            self._mirror.raise_greatest(greatest)
        self._is_filled[task] |= answer.end == answer.newest

    def send_priorities(self) -> None:
        """Send the priorities of all rows that were drawn since the last call; waits for the device."""
        table, slot, priority = self._mirror.take_touched()
        if len(table):
            last = self._mirrored[table] - 1
            count = last - (last - slot) % self._mirror.capacity
            self._sampler.send_priorities(table.astype(np.int32), self._mirrored_key[table] + count, priority)

    def _insert(self, answer: ShardRows, task: NDArray[np.int64]) -> None:
        lengths = answer.end - answer.first
        if not lengths.any():
            return
        table = np.repeat(task, lengths)
        count = np.concatenate([np.arange(a, b) for a, b in zip(answer.first, answer.end, strict=True)])
        # a row that is new to all starts at the mirror's own greatest, one of a table that is copied keeps its own
        priority = np.where(self._is_filled[table], np.nan, answer.priority)
        self._mirror.insert(table, count % self._mirror.capacity, answer.rows, priority)
