"""A shard: owns the tables of some tasks; stores chunks exactly once, draws rows, takes priorities."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from replay_service.atomic_directory import sha256
from replay_service.dedup_window import DedupWindow
from replay_service.episode_history import EpisodeHistory, pack_episodes
from replay_service.journal import Insertion, Journal
from replay_service.plan import ReplayPlan
from replay_service.rows import pack
from replay_service.snapshot import SnapshotError, SnapshotStore
from replay_service.storage import Storage
from replay_service.table import Tables
from replay_service.table_copy import TableParts, copy_table, restore_table
from replay_service.types import Chunk, InsertAck, InsertStatus, ShardSample, ShardStats
from replay_service.validation import check_chunk

logger = logging.getLogger(__name__)

LAG_WINDOW = 100  # chunks that the policy lag is taken over
SHARD_DTYPE = np.dtype(
    [("incarnation", "i8"), ("draws", "i8"), ("priority_exponent", "f8"), ("priority_epsilon", "f8")]
)


class Shard:
    """One process's share of the replay service; every method may be called from any thread.

    A chunk of n rows of task tau is admitted iff

        min(inserted_tau + n, step budget) <= insert limit    or    the table holds less than the warm-up,

    where the insert limit comes with each call of the sampler. With a directory everything that was
    acknowledged is there again after a kill; see Journal for how.
    """

    def __init__(
        self,
        index: int,
        plan: ReplayPlan,
        directory: Path | str | None = None,
        snapshots: Path | str | None = None,
    ) -> None:
        """`directory` holds all shards of the run, this one in shard-<index>/; memory storage needs none.

        A table that was never used takes its content from the newest snapshot under `snapshots` that is whole.
        """
        self.index = index
        self._plan = plan
        self._task_id = np.array(plan.tasks_of_shard(index), np.int32)  # i32[M]
        self._table_of_task = {int(task): table for table, task in enumerate(self._task_id)}
        self._table_lookup = np.full(
            plan.num_tasks + 1, -1
        )  # i64[T + 1], -1 for tasks of other shards or none
        self._table_lookup[self._task_id] = np.arange(len(self._task_id))
        self._insert_limit = plan.limiter().allowed_inserts() // plan.num_tasks
        self._learner_steps = 0
        self._lags: deque[int] = deque(maxlen=LAG_WINDOW)
        self._changed = threading.Condition()
        capacity = plan.replay.capacity_per_task
        self._storage = Storage(_shard_directory(index, plan, directory), _layout(index, plan))
        self._tables = Tables(self._task_id, plan.spec, capacity, plan.sampling, self._storage)
        self._episodes = EpisodeHistory(
            len(self._task_id), plan.sampling.task_priority.window_episodes, self._storage
        )
        self._ledger = DedupWindow(len(self._task_id), self._storage)
        self._counter = self._storage.array("shard", (), SHARD_DTYPE)
        self._counter["incarnation"] += 1
        seed = [
            plan.seed,
            index,
            int(self._counter["draws"]),
        ]  # a restarted shard does not draw the same again
        self._rng = np.random.default_rng(seed)
        self._counter["priority_exponent"] = plan.sampling.priority_exponent
        self._counter["priority_epsilon"] = plan.sampling.priority_epsilon
        self._journal = Journal(capacity, plan.spec, self._storage) if self._storage.is_mapped else None
        self._finish_pending()
        self._parts = TableParts(self._tables, self._episodes, self._ledger)
        if snapshots is not None:
            self._restore(SnapshotStore(Path(snapshots), keep_last=1))

    def begin_incarnation(self, actor: int, task_id: int, at_least: int) -> int:
        """The number under which a new process of an actor sends its chunks of a task."""
        with self._changed:
            return self._ledger.begin(self._table_of(task_id, actor), actor, at_least)

    def insert(self, chunk: Chunk, timeout_s: float) -> InsertAck:
        """Store a chunk, waiting up to `timeout_s` for the limiter; ValueError if it is malformed."""
        task = check_chunk(chunk, self._plan.spec, self._plan.replay.capacity_per_task)
        table = self._table_of(task, chunk.id.actor)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while (status := self._admission(chunk, table)) is InsertStatus.WAIT:
                remaining_s = deadline - time.monotonic()
                if remaining_s <= 0:
                    break
                self._changed.wait(remaining_s)
            if status is InsertStatus.STORED:
                self._store(chunk, table)
            elif status is InsertStatus.DUPLICATE:
                self._ledger.duplicates[table] += 1
            return InsertAck(status, self._learner_steps)

    def sample(self, quota: NDArray[np.int64], learner_steps: int, insert_limit_per_task: int) -> ShardSample:
        """Draw quota[j, tau] rows of each of this shard's tasks for batch j, i64[num_batches, T].

        Raises TableEmpty if rows are asked of a table that holds none.
        """
        with self._changed:
            self._set_insert_limit(learner_steps, insert_limit_per_task)
            mine = np.ascontiguousarray(quota[:, self._task_id])
            draw = self._tables.sample(mine, self._rng)
            self._counter["draws"] += 1
            return ShardSample(*draw, rows_per_batch=mine.sum(axis=1), stats=self._stats())

    def update_priorities(
        self, task_id: NDArray[np.int32], key: NDArray[np.int64], priority: NDArray[np.float64]
    ) -> int:
        """Set the priorities (|td_error|; epsilon is added here) of rows; returns how many were stale."""
        wrong = ~(np.isfinite(priority) & (priority >= 0))
        if wrong.any():
            first = int(np.argmax(wrong))
            raise ValueError(
                f"task {task_id[first]}: a priority must be finite and at least 0, got {priority[first]} "
                f"for key {key[first]} ({wrong.sum()} of {len(wrong)} rows); check the learner's td_error"
            )
        task_id = np.asarray(task_id, np.int32)
        table = self._table_lookup.take(task_id.view(np.uint32), mode="clip")  # below 0 is far above T
        if (table < 0).any():
            raise ValueError(
                f"shard {self.index} must be asked for its tasks {self._task_id.tolist()}, got task "
                f"{task_id[np.argmin(table)]}; route by shard_of_task"
            )
        with self._changed:
            return self._tables.update_priorities(table, key, np.asarray(priority, np.float64))

    def set_insert_limit(self, learner_steps: int, insert_limit_per_task: int) -> ShardStats:
        """Admit inserts up to a new limit, note the learner's steps; return the counters as they are then."""
        with self._changed:
            self._set_insert_limit(learner_steps, insert_limit_per_task)
            return self._stats()

    def stats(self) -> ShardStats:
        """Return the counters; nothing is changed."""
        with self._changed:
            return self._stats()

    def adopt_inserted(self, inserted: NDArray[np.int64]) -> None:
        """Go on counting from `inserted`, i64[T]: what the sampler knew of a predecessor that is lost."""
        with self._changed:
            self._tables.adopt_inserted(inserted[self._task_id])

    def write_snapshot(self, directory: Path | str) -> dict[str, str]:
        """Copy each task's table to task-<id>/ in a directory; inserts and samples go on.

        Returns the sha256 of each file by its path from the directory. Each table is copied as it is at one
        instant of its own: nothing of a chunk concerns two tables.
        """
        digests: dict[str, str] = {}
        for table, task in enumerate(self._task_id.tolist()):
            path = Path(directory) / f"task-{task}"
            copy_table(self._parts, table, path, self._changed, self._finish_pending)
            digests |= {f"task-{task}/{file.name}": sha256(file) for file in path.iterdir()}
        return digests

    def flush(self) -> None:
        """Bring everything to the disk, against a crash of the host."""
        with self._changed:
            self._storage.flush()

    def close(self) -> None:
        """Give the directory free for another process; the shard is not used any more. Does not flush."""
        with self._changed:
            self._storage.close()

    def _restore(self, store: SnapshotStore) -> None:
        for table, task in enumerate(self._task_id.tolist()):
            for snapshot in store.newest_first(self._plan.spec):
                if self._tables.count[table]:
                    break
                try:
                    restore_table(self._parts, table, snapshot.task(task))
                except SnapshotError as error:
                    logger.warning("shard %d passes over a snapshot of task %d: %s", self.index, task, error)

    def _table_of(self, task: int, actor: int) -> int:
        if task not in self._table_of_task:
            raise ValueError(
                f"actor {actor}, task {task}: shard {self.index} must be sent its tasks "
                f"{self._task_id.tolist()}; route by shard_of_task; nothing of the chunk is stored"
            )
        return self._table_of_task[task]

    def _admission(self, chunk: Chunk, table: int) -> InsertStatus:
        if self._ledger.is_stored(table, chunk.id):
            return InsertStatus.DUPLICATE
        inserted = int(self._tables.inserted[table])
        if inserted >= self._plan.steps_per_task or self._ledger.is_superseded(table, chunk.id):
            return InsertStatus.CLOSED
        after = min(inserted + len(chunk.transitions.reward), self._plan.steps_per_task)
        if after <= self._insert_limit or self._tables.size[table] < self._plan.warmup_steps:
            return InsertStatus.STORED
        return InsertStatus.WAIT

    def _store(self, chunk: Chunk, table: int) -> None:
        self._finish_pending()  # of an insert that an exception, such as Ctrl-C, cut short
        insertion = Insertion(
            table,
            int(self._tables.count[table]),
            pack(chunk.transitions, self._tables.row_dtype),
            chunk.id.actor,
            self._ledger.entry_with(table, chunk.id),
            int(self._episodes.count[table]) + len(chunk.episodes),
            pack_episodes(chunk.episodes),
        )
        if self._journal:
            self._journal.commit(insertion)
        self._apply(insertion)
        if self._journal:
            self._journal.clear()
        self._lags.append(max(self._learner_steps - chunk.weights_version, 0))

    def _finish_pending(self) -> None:
        if self._journal and (pending := self._journal.pending()):
            self._apply(pending)
            self._journal.clear()

    def _apply(self, insertion: Insertion) -> None:
        self._tables.insert(insertion.table, insertion.first, insertion.rows)
        self._episodes.write(insertion.table, insertion.episode_count, insertion.episodes)
        self._ledger.write(insertion.table, insertion.actor, insertion.dedup_entry)

    def _set_insert_limit(self, learner_steps: int, insert_limit_per_task: int) -> None:
        self._learner_steps = learner_steps
        if insert_limit_per_task != self._insert_limit:
            self._insert_limit = insert_limit_per_task
            self._changed.notify_all()

    def _stats(self) -> ShardStats:
        return ShardStats(
            task_id=self._task_id,
            capacity=self._plan.replay.capacity_per_task,
            inserted=self._tables.inserted,
            size=self._tables.size,
            sampled=self._tables.sampled,
            priority_mass=self._tables.priority_mass,
            sampled_age=self._tables.sampled_age.copy(),
            episodes=self._episodes.count.copy(),
            success_rate=self._episodes.success_rate.copy(),
            mean_return=self._episodes.mean_return.copy(),
            stale_updates=self._tables.stale_updates,
            duplicate_chunks=int(self._ledger.duplicates.sum()),
            policy_lag_mean=sum(self._lags) / len(self._lags) if self._lags else float("nan"),
            policy_lag_max=float(max(self._lags)) if self._lags else float("nan"),
            incarnation=int(self._counter["incarnation"]),
            learner_steps=self._learner_steps,
        )


def _shard_directory(index: int, plan: ReplayPlan, directory: Path | str | None) -> Path | None:
    if plan.replay.storage == "memory":
        return None
    if directory is None:
        raise ValueError(
            "replay.storage=mapped must have a directory, got none; give one or use replay.storage=memory"
        )
    return Path(directory) / f"shard-{index}"


def _layout(index: int, plan: ReplayPlan) -> dict[str, int | list[int]]:
    return {
        "shard": index,
        "num_shards": plan.num_shards,
        "num_tasks": plan.num_tasks,
        "task_id": plan.tasks_of_shard(index),
        "capacity": plan.replay.capacity_per_task,
        "obs_dim": plan.spec.obs_dim,
        "action_dim": plan.spec.action_dim,
    }
