"""The dedup window: which chunks a shard has stored, so that a retry is recognised."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.storage import Storage
from replay_service.types import ChunkId

MAX_ACTORS = 4096
WINDOW = 64  # an actor sends nothing that is 32 or more chunks ahead of the oldest in flight
_MASK = (1 << WINDOW) - 1
ENTRY_DTYPE = np.dtype([("incarnation", "i8"), ("next_sequence", "i8"), ("seen", "u8")])


class DedupEntry(NamedTuple):
    """What is known of an actor's chunks of one task."""

    incarnation: int
    next_sequence: int  # 1 + the greatest sequence stored
    seen: int  # bit i: sequence next_sequence - 1 - i is stored


class _Begun(NamedTuple):
    """The newest process of an actor that has begun since this one of the shard."""

    writer: str
    restarts: int
    incarnation: int


class DedupWindow:
    """The newest incarnation of each actor in each table, and a window over its newest sequences.

    As in IPsec's anti-replay window (RFC 4303, 3.4.3) a sequence in the window is stored iff its bit is set,
    and one before the window counts as stored: an actor sends nothing that is more than WINDOW ahead of what
    it still waits for. So the size is fixed, whatever is lost or sent again.
    """

    def __init__(self, num_tables: int, storage: Storage) -> None:
        # "ledger" is the name of the file in the runs that exist, and so it stays
        self._entry = storage.array("ledger", (num_tables, MAX_ACTORS), ENTRY_DTYPE)
        self._begun: dict[tuple[int, int], _Begun] = {}  # by table and actor
        self.duplicates = storage.array("duplicates", (num_tables,), np.int64)  # i64[M], retries recognised

    def entry(self, table: int, actor: int) -> DedupEntry:
        """Return what is known of an actor's chunks of a table."""
        return DedupEntry(*self._entry[table, actor].item())

    def is_stored(self, table: int, chunk: ChunkId) -> bool:
        """Return whether this very chunk was stored before."""
        incarnation, next_sequence, seen = self.entry(table, chunk.actor)
        if chunk.incarnation != incarnation or chunk.sequence >= next_sequence:
            return False
        age = next_sequence - 1 - chunk.sequence
        return age >= WINDOW or bool(seen >> age & 1)

    def is_superseded(self, table: int, chunk: ChunkId) -> bool:
        """Return whether a newer incarnation of the actor has begun on this task."""
        return chunk.incarnation < self.entry(table, chunk.actor).incarnation

    def begin(self, table: int, actor: int, restarts: int, writer: str = "") -> int:
        """Start a new incarnation of an actor; return its number: greater than all before, and than `restarts`.

        Each process of an actor has more `restarts`, so the number is also none that a shard has given and lost.
        Calls may be repeated and overtake each other: a `writer` that has begun gets its number again, and one of an
        older process, whose `restarts` are fewer, a number that is superseded.
        """
        newest = self._begun.get((table, actor))
        if newest is not None and writer and writer == newest.writer:
            return newest.incarnation
        if newest is not None and writer and restarts < newest.restarts:
            return newest.incarnation - 1
        incarnation = max(self.entry(table, actor).incarnation, restarts) + 1
        self._begun[table, actor] = _Begun(writer, restarts, incarnation)
        self.write(table, actor, DedupEntry(incarnation, 0, 0))
        return incarnation

    def entry_with(self, table: int, chunk: ChunkId) -> DedupEntry:
        """Compute the actor's entry once this chunk is stored; nothing is changed."""
        incarnation, next_sequence, seen = self.entry(table, chunk.actor)
        if chunk.incarnation != incarnation:
            next_sequence, seen = 0, 0
        ahead = chunk.sequence + 1 - next_sequence
        if ahead <= 0:
            return DedupEntry(chunk.incarnation, next_sequence, seen | 1 << -ahead)
        seen = (seen << min(ahead, WINDOW) | 1) & _MASK
        return DedupEntry(chunk.incarnation, chunk.sequence + 1, seen)

    def copy_entries(self, table: int) -> NDArray:
        """Copy the entries of all actors, ENTRY_DTYPE[MAX_ACTORS]."""
        return self._entry[table].copy()

    def restore(self, table: int, entries: NDArray, duplicates: int) -> None:
        """Replace a table's entries by copied ones."""
        self._entry[table] = entries
        self.duplicates[table] = duplicates

    def write(self, table: int, actor: int, entry: DedupEntry) -> None:
        """Replace an actor's entry; may be repeated."""
        self._entry[table, actor] = entry
