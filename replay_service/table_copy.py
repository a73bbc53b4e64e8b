"""A table copy: one table's content in files, taken while inserts and samples go on.

<directory>/transitions.npy   row_dtype[size], by slot
<directory>/state.npz         priorities, counters, episodes, dedup window: the fields of TableState
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.atomic_directory import sha256
from replay_service.atomic_file import atomic_file
from replay_service.content import ShardContent

BLOCK_ROWS = 4096  # copied in one hold of the lock: about 0.3 ms for Meta-World's rows
TRANSITIONS_FILE, STATE_FILE = "transitions.npy", "state.npz"


class TableState(NamedTuple):
    """All of one table but its transitions; the names of the fields are those in the file."""

    priority: NDArray[np.float64]  # f64[size], by slot
    counter: NDArray  # COUNTER_DTYPE[]
    episode_count: NDArray[np.int64]  # i64[]
    episodes: NDArray  # EPISODE_DTYPE[HISTORY]
    ledger: NDArray  # ENTRY_DTYPE[MAX_ACTORS], the dedup window; older snapshots must stay readable
    duplicates: NDArray[np.int64]  # i64[]
    capacity: NDArray[np.int64]  # i64[]


def copy_tables(
    content: ShardContent, task_ids: Sequence[int], directory: Path, lock: AbstractContextManager
) -> dict[str, str]:
    """Copy each table to task-<id>/ in a directory; return the sha256 of each file by its path from there.

    Each is copied as it is at one instant of its own: nothing of a chunk concerns two tables.
    """
    digests: dict[str, str] = {}
    for table, task in enumerate(task_ids):
        path = directory / f"task-{task}"
        copy_table(content, table, path, lock)
        digests |= {f"task-{task}/{file.name}": sha256(file) for file in path.iterdir()}
    return digests


def copy_table(content: ShardContent, table: int, directory: Path, lock: AbstractContextManager) -> None:
    """Copy a table as it is at one instant during the call; `lock` guards the content.

    As in the live migration of a virtual machine the rows are copied block after block, in the order of their
    counts, while new ones come in; when a block reaches the newest row, the state is taken in the same hold of
    the lock. A row that is overwritten meanwhile is overwritten in the file too, as its successor is copied
    later. So no hold is longer than one block, and the files are those of the instant of the last one.
    """
    tables, capacity = content.tables, content.tables.capacity
    directory.mkdir()
    with atomic_file(directory / TRANSITIONS_FILE) as file:
        copied, state = 0, None
        while state is None:
            with lock:
                content.finish_pending()
                count = int(tables.count[table])
                copied = max(copied, count - capacity)
                lap_end = copied - copied % capacity + capacity
                end = min(copied + BLOCK_ROWS, lap_end, count)
                rows = tables.copy_rows(table, copied, end)
                if end == count:
                    state = _copy_state(content, table)
            _write_rows(file, capacity, copied % capacity, rows)
            copied = end
        _write_header(file, tables.row_dtype, len(state.priority))
    with atomic_file(directory / STATE_FILE) as file:
        np.savez(file, **state._asdict())


def restore_table(content: ShardContent, table: int, directory: Path) -> None:
    """Fill an unused table from a copy; one of another capacity with as many of the newest rows as fit."""
    with np.load(directory / STATE_FILE) as file:
        state = TableState(**{name: file[name] for name in TableState._fields})
    rows = np.load(directory / TRANSITIONS_FILE, mmap_mode="r")
    rows, priority, counter = _fit(rows, state, content.tables.capacity)
    content.dedup.restore(table, state.ledger, int(state.duplicates))
    content.episodes.restore(table, int(state.episode_count), state.episodes)
    content.tables.restore(table, rows, priority, counter)  # last: until then the table counts as unused


def _copy_state(content: ShardContent, table: int) -> TableState:
    return TableState(
        priority=content.tables.copy_priority(table),
        counter=content.tables.copy_counter(table),
        episode_count=content.episodes.count[table].copy(),
        episodes=content.episodes.copy_ring(table),
        ledger=content.dedup.copy_entries(table),
        duplicates=content.dedup.duplicates[table].copy(),
        capacity=np.array(content.tables.capacity),
    )


def _fit(rows: NDArray, state: TableState, capacity: int) -> tuple[NDArray, NDArray[np.float64], NDArray]:
    """Return rows and priorities by the slots of a table of `capacity`, and its counters."""
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
