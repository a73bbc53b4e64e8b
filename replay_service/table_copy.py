"""A table copy: one table's content in files, taken while inserts and samples go on.

<directory>/transitions.npy   row_dtype[size], by slot
<directory>/state.npz         priorities, counters, episodes, ledger
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.dedup_window import DedupWindow
from replay_service.episode_history import EpisodeHistory
from replay_service.table import Tables

BLOCK_ROWS = 4096  # copied in one hold of the lock: about 0.3 ms for Meta-World's rows
TRANSITIONS_FILE, STATE_FILE = "transitions.npy", "state.npz"


class TableParts(NamedTuple):
    """What a shard keeps of its tasks."""

    tables: Tables
    episodes: EpisodeHistory
    ledger: DedupWindow


class TableState(NamedTuple):
    """All of one table but its transitions."""

    priority: NDArray[np.float64]  # f64[size], by slot
    counter: NDArray  # COUNTER_DTYPE[]
    episode_count: NDArray[np.int64]  # i64[]
    episodes: NDArray  # EPISODE_DTYPE[HISTORY]
    ledger: NDArray  # ENTRY_DTYPE[MAX_ACTORS]
    duplicates: NDArray[np.int64]  # i64[]
    capacity: NDArray[np.int64]  # i64[]


def copy_table(
    parts: TableParts,
    table: int,
    directory: Path,
    lock: AbstractContextManager,
    settle: Callable[[], None],
) -> None:
    """Copy a table as it is at one instant during the call; `settle` finishes an insert that was cut short.

    As in the live migration of a virtual machine the rows are copied block after block, in the order of their
    counts, while new ones come in; when a block reaches the newest row, the state is taken in the same hold of
    the lock. A row that is overwritten meanwhile is overwritten in the file too, as its successor is copied
    later. So no hold is longer than one block, and the files are those of the instant of the last one.
    """
    capacity = parts.tables.capacity
    directory.mkdir()
    with (directory / TRANSITIONS_FILE).open("wb") as file:
        copied, state = 0, None
        while state is None:
            with lock:
                settle()
                count = int(parts.tables.count[table])
                copied = max(copied, count - capacity)
                lap_end = copied - copied % capacity + capacity
                end = min(copied + BLOCK_ROWS, lap_end, count)
                rows = parts.tables.copy_rows(table, copied, end)
                if end == count:
                    state = _copy_state(parts, table)
            _write_rows(file, capacity, copied % capacity, rows)
            copied = end
        _write_header(file, parts.tables.row_dtype, len(state.priority))
        _sync(file)
    with (directory / STATE_FILE).open("wb") as file:
        np.savez(file, **state._asdict())
        _sync(file)


def restore_table(parts: TableParts, table: int, directory: Path) -> None:
    """Take a copy into an unused table; into one of another capacity as many of the newest rows as fit."""
    with np.load(directory / STATE_FILE) as file:
        state = TableState(**{name: file[name] for name in TableState._fields})
    rows = np.load(directory / TRANSITIONS_FILE, mmap_mode="r")
    rows, priority, counter = _fit(rows, state, parts.tables.capacity)
    parts.ledger.restore(table, state.ledger, int(state.duplicates))
    parts.episodes.restore(table, int(state.episode_count), state.episodes)
    parts.tables.restore(table, rows, priority, counter)  # last: until then the table counts as unused


def _copy_state(parts: TableParts, table: int) -> TableState:
    return TableState(
        parts.tables.copy_priority(table),
        parts.tables.copy_counter(table),
        parts.episodes.count[table].copy(),
        parts.episodes.copy_ring(table),
        parts.ledger.copy_entries(table),
        parts.ledger.duplicates[table].copy(),
        np.array(parts.tables.capacity),
    )


def _fit(rows: NDArray, state: TableState, capacity: int) -> tuple[NDArray, NDArray[np.float64], NDArray]:
    """Rows and priorities by the slots of a table of `capacity`, and its counters."""
    if capacity == state.capacity:
        return rows, state.priority, state.counter
    count, kept = int(state.counter["count"]), min(len(rows), capacity)
    newest = np.arange(count - kept, count) % int(state.capacity)
    counter = state.counter.copy()
    counter["lost"] += count - kept
    counter["count"] = kept
    return rows[newest], state.priority[newest], counter


def _write_header(file: IO[bytes], dtype: np.dtype, size: int) -> int:
    """Write the file's header; its length does not depend on the size, as numpy leaves room for it to grow."""
    file.seek(0)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _write_rows(file: IO[bytes], capacity: int, slot: int, rows: NDArray) -> None:
    start = _write_header(file, rows.dtype, capacity)
    file.seek(start + slot * rows.dtype.itemsize)
    file.write(rows.tobytes())


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
