"""A shard: owns the tables of some tasks; stores chunks exactly once, draws rows, takes priorities."""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay_service.admission import Admission
from replay_service.content import ShardContent
from replay_service.identity import check_identity
from replay_service.insert_gate import InsertGate
from replay_service.opening import opening_report, restore_unused
from replay_service.plan import ReplayPlan
from replay_service.priority import check_priorities
from replay_service.row_feed import ShardRows, rows_since
from replay_service.shard_files import shard_directory, shard_layout
from replay_service.snapshot import SnapshotStore
from replay_service.storage import Storage
from replay_service.table import Tables
from replay_service.table_copy import copy_tables
from replay_service.types import Chunk, InsertAck, InsertStatus, ShardSample, ShardStats
from replay_service.validation import check_chunk
from replay_service.wait import Wait

logger = logging.getLogger(__name__)

LAG_WINDOW = 100  # chunks that the policy lag is taken over
SHARD_DTYPE = np.dtype(
    [("incarnation", "i8"), ("draws", "i8"), ("priority_exponent", "f8"), ("priority_epsilon", "f8")]
)


class Shard:
    """One process's share of the replay service; every method may be called from any thread.

    Which chunks it takes is Admission's. With a directory everything that was acknowledged is there again after a kill;
    see Journal for how.
    """

    def __init__(
        self,
        index: int,
        plan: ReplayPlan,
        directory: Path | str | None = None,
        snapshots: Path | str | None = None,
        identity: str | None = None,
    ) -> None:
        """`directory` holds all shards of the run, this one in shard-<index>/; memory storage needs none.

        A table that was never used takes its content from the newest snapshot under `snapshots` that is whole.

        Raises:
            ValueError: the directory is another one than `identity`, if that is given.
        """
        if identity is not None and directory is not None:
            check_identity(Path(directory), identity)
        self.index = index
        self._process_name = secrets.token_hex(8)
        self._plan = plan
        self._task_id = np.array(plan.tasks_of_shard(index), np.int32)  # i32[M]
        self._table_of_task = {int(task): table for table, task in enumerate(self._task_id)}
        # i64[T + 1], -1 for the tasks of other shards and, at the end, for numbers that are no task
        self._table_lookup = np.full(plan.num_tasks + 1, -1)
        self._table_lookup[self._task_id] = np.arange(len(self._task_id))
        self._learner_steps = 0
        self._lags: deque[int] = deque(maxlen=LAG_WINDOW)
        self._changed = InsertGate()
        self._is_closed = False
        self._storage = Storage(shard_directory(index, plan, directory), shard_layout(index, plan))
        self._content = ShardContent(self._task_id, plan, self._storage)
        self._admission = Admission(plan, self._content)
        self._counter = self._storage.array("shard", (), SHARD_DTYPE)
        self._counter["incarnation"] += 1
        self._counter["priority_exponent"] = plan.sampling.priority_exponent
        self._counter["priority_epsilon"] = plan.sampling.priority_epsilon
        # the number of draws, below 0 on a damaged page, is a part of the seed, so that a restarted shard does not draw
        # the same again
        self._rng = np.random.default_rng([plan.seed, index, abs(int(self._counter["draws"]))])
        if self.opening_report is not None:
            logger.warning("shard %d: %s", index, self.opening_report)
        if snapshots is not None:
            store = SnapshotStore(Path(snapshots), keep_last=1)
            restore_unused(self._content, self.task_ids, store, plan.spec, index)

    def begin_incarnation(self, actor: int, task_id: int, restarts: int, writer: str = "") -> int:
        """Return the number under which a new process of an actor sends its chunks of a task.

        It is greater than the actor's `restarts` and than all before, whose chunks are refused from now on. The
        `writer` that calls again, as its first call may be late or lost, gets the same number.
        """
        with self._changed:
            number = self._content.dedup.begin(self._table_of(task_id, actor), actor, restarts, writer)
            self._changed.notify_all()  # inserts of the process before are to be refused
            return number

    def insert(self, chunk: Chunk, timeout_s: float) -> InsertAck:
        """Store a chunk, waiting up to `timeout_s` for the insert limit to admit it.

        Raises:
            ValueError: the chunk is malformed or of another shard's task; nothing of it is stored.
        """
        task = check_chunk(chunk, self._plan.spec, self._plan.replay.capacity_per_task)
        table = self._table_of(task, chunk.id.actor)
        wait = Wait(logger, timeout_s)
        with self._changed.insert():
            while (status := self._status(chunk, table)) is InsertStatus.WAIT and not wait.is_over:
                self._changed.wait(self._admission.count_after(chunk, table), wait.remaining_s)
            if status is InsertStatus.STORED:
                self._content.store(table, chunk)
                self._lags.append(max(self._learner_steps - chunk.weights_version, 0))
            elif status is InsertStatus.DUPLICATE:
                self._content.dedup.duplicates[table] += 1
            return InsertAck(status, self._learner_steps)

    def sample(self, quota: NDArray[np.int64], learner_steps: int, insert_limit_per_task: int) -> ShardSample:
        """Draw quota[j, tau] rows of each of this shard's tasks for batch j, i64[num_batches, T].

        First takes the insert limit and the learner's steps, as `set_insert_limit` does, and keeps them even if
        it raises: a sampler that draws need not call both.

        Raises:
            TableEmpty: rows were asked of a table that holds none.
        """
        with self._changed:
            self._set_insert_limit(learner_steps, insert_limit_per_task)
            draw = self._content.tables.sample(np.ascontiguousarray(quota[:, self._task_id]), self._rng)
            self._counter["draws"] += 1
            return ShardSample(*draw, stats=self._stats())

    def rows_since(
        self,
        first_key: NDArray[np.int64],
        count: NDArray[np.int64],
        most: int,
        sampled: NDArray[np.int64],
        learner_steps: int,
        insert_limit_per_task: int,
    ) -> ShardRows:
        """Return about `most` rows beyond the first `count` i64[T] of each table, see `row_feed.py`.

        Also counts the rows `sampled` i64[T] that the reader has drawn, and takes the insert limit as `sample` does.
        """
        with self._changed:
            self._set_insert_limit(learner_steps, insert_limit_per_task)
            tables, mine = self._content.tables, self._task_id
            tables.note_sampled(sampled[mine])
            return rows_since(tables, first_key[mine], count[mine], most, self._stats())

    def update_priorities(
        self, task_id: NDArray[np.int32], key: NDArray[np.int64], priority: NDArray[np.float64]
    ) -> int:
        """Set the priorities (|td_error|) of the named rows; return how many were stale and so were dropped.

        Raises:
            ValueError: priorities are not one per row, negative or not finite, or of another shard's task.
        """
        if not len(task_id) == len(key) == len(priority):
            raise ValueError(
                f"priorities must be one per row, {len(key)} keys of {len(task_id)} rows, got {len(priority)}; "
                "nothing is set"
            )
        check_priorities(priority, task_id, key)
        task_id = np.asarray(task_id, np.int32)
        table = self._table_lookup.take(task_id.view(np.uint32), mode="clip")  # below 0 is far above T
        if (table < 0).any():
            raise ValueError(
                f"shard {self.index} must be asked for its tasks {self._task_id.tolist()}, got task "
                f"{task_id[np.argmin(table)]}; route by shard_of_task"
            )
        with self._changed:
            return self._content.tables.update_priorities(table, key, np.asarray(priority, np.float64))

    def set_insert_limit(self, learner_steps: int, insert_limit_per_task: int) -> ShardStats:
        """Take a new insert limit, waking inserts that wait for it, and the learner's steps; return the counters.

        The limit is in transitions ever stored, and the same for each task.
        """
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
            self._content.tables.adopt_inserted(inserted[self._task_id])

    def write_snapshot(self, directory: Path | str) -> dict[str, str]:
        """Copy each task's table to task-<id>/ in a directory; inserts and samples go on.

        Returns the sha256 of each file by its path from the directory.
        """
        return copy_tables(self._content, self.task_ids, Path(directory), self._changed)

    @property
    def opening_report(self) -> str | None:
        """What the files were found to be if they may be torn, or are; None if there was nothing to tell."""
        return opening_report(self._content, self._storage.doubt)

    @property
    def task_ids(self) -> list[int]:
        """The tasks that live here, in the order of its tables."""
        return self._task_id.tolist()

    @property
    def tables(self) -> Tables:
        """The tables, for a copy in the process of the shard."""
        return self._content.tables

    def state_dict(self) -> dict[str, Any]:
        """Return all but the transitions: random state, counters, and by task what its table depends on."""
        with self._changed:
            self._content.finish_pending()
            tables = {str(task): self._content.state_dict(t) for t, task in enumerate(self.task_ids)}
            return {
                "rng": self._rng.bit_generator.state,
                "draws": int(self._counter["draws"]),
                "lags": list(self._lags),
                "tables": tables,
            }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; without a random state, as of another number of shards, draws go on with an own one."""
        with self._changed:
            for table, task in enumerate(self.task_ids):
                self._content.load_state_dict(table, state["tables"][str(task)])
            if "rng" in state:
                self._rng.bit_generator.state = state["rng"]
                self._counter["draws"] = state["draws"]
                self._lags = deque(state["lags"], maxlen=LAG_WINDOW)

    def flush(self) -> None:
        """Bring all that is stored by now to the disk, against a crash of the host; inserts and samples go on."""
        self._storage.flush()

    def close(self) -> None:
        """Bring everything to the disk and release the directory for another process; nothing is stored any more."""
        with self._changed:
            self._is_closed = True
            self._content.finish_pending()
            try:
                self._storage.mark_clean()
            except OSError as error:
                logger.warning(
                    "shard %d is not on the disk (%s); its files are checked when opened", self.index, error
                )
            self._storage.close()

    def _table_of(self, task: int, actor: int) -> int:
        if task not in self._table_of_task:
            raise ValueError(
                f"actor {actor}, task {task}: shard {self.index} must be sent its tasks "
                f"{self._task_id.tolist()}; route by shard_of_task; nothing of the chunk is stored"
            )
        return self._table_of_task[task]

    def _status(self, chunk: Chunk, table: int) -> InsertStatus:
        return InsertStatus.WAIT if self._is_closed else self._admission.status(chunk, table)

    def _set_insert_limit(self, learner_steps: int, insert_limit_per_task: int) -> None:
        self._learner_steps = learner_steps
        if insert_limit_per_task != self._admission.insert_limit:
            self._admission.insert_limit = insert_limit_per_task
            self._changed.open(insert_limit_per_task)

    def _stats(self) -> ShardStats:
        tables, episodes = self._content.tables, self._content.episodes
        return ShardStats(
            task_id=self._task_id,
            capacity=self._plan.replay.capacity_per_task,
            inserted=tables.inserted,
            size=tables.size,
            sampled=tables.sampled,
            priority_mass=tables.priority_mass,
            sampled_age=tables.sampled_age.copy(),
            episodes=episodes.count.copy(),
            success_rate=episodes.success_rate.copy(),
            mean_return=episodes.mean_return.copy(),
            stale_updates=tables.stale_updates,
            duplicate_chunks=int(self._content.dedup.duplicates.sum()),
            policy_lag_mean=sum(self._lags) / len(self._lags) if self._lags else float("nan"),
            policy_lag_max=float(max(self._lags)) if self._lags else float("nan"),
            incarnation=int(self._counter["incarnation"]),
            learner_steps=self._learner_steps,
            process_name=self._process_name,
        )
