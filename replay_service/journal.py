"""The journal: makes an insert all or nothing for a process that may be killed at any instant."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.dedup_window import MAX_ACTORS, DedupEntry
from replay_service.episode_history import EPISODE_DTYPE, HISTORY
from replay_service.rows import row_dtype, words
from replay_service.storage import Storage
from replay_service.types import TransitionSpec

LARGEST_COUNT = 1 << 48


class Insertion(NamedTuple):
    """Everything that storing a chunk changes, in absolute values: applying it twice is applying it once."""

    table: int
    first: int  # the table's count before
    rows: NDArray  # row_dtype[n]
    actor: int
    dedup_entry: DedupEntry
    episode_count: int  # the table's episodes after
    episodes: NDArray  # EPISODE_DTYPE[at most HISTORY]


HEADER_DTYPE = np.dtype(
    [(name, "i8") for name in ("table", "first", "rows", "actor", "incarnation", "next_sequence")]
    + [("seen", "u8"), ("episode_count", "i8"), ("episodes", "i8")]
)


class Journal:
    """A redo log of one insertion, in mapped files.

    Order: write the insertion here; set the commit flag, one store of eight bytes; change the tables; clear
    the flag. Killed before the flag, nothing happened and the actor sends again. Killed after it, `pending`
    returns the insertion at the next start and it is applied anew, rows half overwritten included; the
    actor's retry is then a duplicate.
    """

    def __init__(self, num_tables: int, max_rows: int, spec: TransitionSpec, storage: Storage) -> None:
        self._num_tables = num_tables
        self._rows = storage.array("journal_transitions", (max_rows,), row_dtype(spec))
        self._episodes = storage.array("journal_episodes", (HISTORY,), EPISODE_DTYPE)
        self._header = storage.array("journal_header", (), HEADER_DTYPE)
        self._committed = storage.array("journal_committed", (), np.int64)

    def commit(self, insertion: Insertion) -> None:
        """Write an insertion; from the return of this call on it survives a kill."""
        rows, episodes = len(insertion.rows), len(insertion.episodes)
        words(self._rows)[:rows] = words(insertion.rows)
        self._episodes[:episodes] = insertion.episodes
        self._header[...] = (
            insertion.table,
            insertion.first,
            rows,
            insertion.actor,
            *insertion.dedup_entry,
            insertion.episode_count,
            episodes,
        )
        self._committed[...] = 1

    def clear(self) -> None:
        """Forget the insertion: it has been applied."""
        self._committed[...] = 0

    def pending(self) -> Insertion | None:
        """Return the insertion that was committed and perhaps not applied; None without a possible one."""
        if not (self._committed and self._is_possible()):
            return None
        table, first, rows, actor, incarnation, next_sequence, seen, episode_count, episodes = (
            self._header.item()
        )
        entry = DedupEntry(incarnation, next_sequence, seen)
        episodes_of = self._episodes[:episodes]
        return Insertion(table, first, self._rows[:rows], actor, entry, episode_count, episodes_of)

    def _is_possible(self) -> bool:
        """Return whether the header is one that `commit` has written, and no page of a file that is torn."""
        header = self._header
        return bool(
            0 < header["rows"] <= len(self._rows)
            and 0 <= header["table"] < self._num_tables
            and 0 <= header["first"] < LARGEST_COUNT
            and 0 <= header["actor"] < MAX_ACTORS
            and 0 <= header["episodes"] <= min(HISTORY, header["episode_count"])
        )
