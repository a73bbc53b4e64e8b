"""The content of a shard: all that it keeps of its tasks, which a chunk changes as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay_service.dedup_window import DedupWindow
from replay_service.episode_history import EpisodeHistory, pack_episodes
from replay_service.journal import Insertion, Journal
from replay_service.plan import ReplayPlan
from replay_service.repair import TableFinding, make_good
from replay_service.rows import pack
from replay_service.storage import Storage
from replay_service.table import Tables
from replay_service.table_arrays import TableArrays
from replay_service.types import Chunk


class ShardContent:
    """The tables, episodes and dedup windows of M tasks, in one storage. The caller holds the shard's lock.

    In mapped storage every insertion goes through a journal, so that a kill at any instant leaves all of it or none.
    """

    def __init__(self, task_id: NDArray[np.int32], plan: ReplayPlan, storage: Storage) -> None:
        num_tables, capacity = len(task_id), plan.replay.capacity_per_task
        arrays = TableArrays.of(num_tables, capacity, plan.spec, storage)
        self._journal = Journal(num_tables, capacity, plan.spec, storage) if storage.is_mapped else None
        self.findings = self._make_good(arrays, storage)  # of each table
        self.tables = Tables(task_id, plan.sampling, arrays, plan.gamma)
        self.episodes = EpisodeHistory(num_tables, plan.sampling.task_priority.window_episodes, storage)
        self.dedup = DedupWindow(num_tables, storage)
        storage.begin_writing()
        self.finish_pending()

    def store(self, table: int, chunk: Chunk) -> None:
        """Store a well-formed chunk in the table of its task."""
        self.finish_pending()
        insertion = Insertion(
            table,
            int(self.tables.count[table]),
            pack(chunk.transitions, self.tables.row_dtype),
            chunk.id.actor,
            self.dedup.entry_with(table, chunk.id),
            int(self.episodes.count[table]) + len(chunk.episodes),
            pack_episodes(chunk.episodes),
        )
        if self._journal:
            self._journal.commit(insertion)
        self._apply(insertion)
        if self._journal:
            self._journal.clear()

    def finish_pending(self) -> None:
        """Apply the insertion that a kill, or an exception such as Ctrl-C, cut short after its commit."""
        if self._journal and (pending := self._journal.pending()):
            self._apply(pending)
            self._journal.clear()

    def _make_good(self, arrays: TableArrays, storage: Storage) -> list[TableFinding]:
        if self._journal is None:
            return []
        if storage.doubt:
            self._journal.clear()  # it may be of another instant than the tables
        return make_good(arrays, bool(storage.doubt), storage.is_unmarked, self._journal.pending())

    def state_dict(self, table: int) -> dict[str, Any]:
        """Return all that a table's next insertion and draw depend on, but its transitions."""
        return {
            "table": self.tables.state_dict(table),
            "episode_count": int(self.episodes.count[table]),
            "episodes": self.episodes.copy_ring(table),
            "dedup": self.dedup.copy_entries(table),
            "duplicates": int(self.dedup.duplicates[table]),
        }

    def load_state_dict(self, table: int, state: Mapping[str, Any]) -> None:
        """Take over a state, whatever the table holds; its transitions are still to be put in their places."""
        self.dedup.restore(table, state["dedup"], state["duplicates"])
        self.episodes.restore(table, state["episode_count"], state["episodes"])
        self.tables.load_state_dict(table, state["table"])

    def _apply(self, insertion: Insertion) -> None:
        self.tables.insert(insertion.table, insertion.first, insertion.rows)
        self.episodes.write(insertion.table, insertion.episode_count, insertion.episodes)
        self.dedup.write(insertion.table, insertion.actor, insertion.dedup_entry)
