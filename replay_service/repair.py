"""Repair: what a start makes of mapped files that may be torn, by a power cut, by a copy of a live run, or on the disk.

Rows that are not whole are given up, and the whole ones stay, with what is known of their order. A table of which
none is whole counts as unused, and so is taken from a snapshot or filled anew.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.journal import Insertion
from replay_service.priority import initial_priority
from replay_service.table_arrays import TableArrays

_LARGEST = {"first_key": 1 << 62}  # of a counter that is possible; 2^48 of the others


class TableFinding(NamedTuple):
    """The transitions that a table should hold, and those of them that are whole."""

    expected: int
    whole: int


def make_good(
    arrays: TableArrays, doubtful: bool, unchecked: bool, pending: Insertion | None
) -> list[TableFinding]:
    """Check every row of the tables, and give up what is not whole; return what each table holds.

    `doubtful` is whether any page may be older than another one, counters included; `unchecked` that the rows were
    written by a version without checks. The rows of `pending` are not looked at: they are to be written anew.
    """
    return [_mend_table(arrays, table, doubtful, unchecked, pending) for table in range(len(arrays.counter))]


def _mend_table(
    arrays: TableArrays, table: int, doubtful: bool, unchecked: bool, pending: Insertion | None
) -> TableFinding:
    counter, capacity = arrays.counter[table : table + 1], arrays.rows.shape[1]
    _mend_counter(counter)
    count = int(counter["count"][0])
    if unchecked:
        found = _seemingly_whole(arrays, table, count)
    else:
        assert arrays.checks is not None
        found = arrays.checks.counts(table, arrays.words[table])
    if doubtful:
        count = max(count, int(found.max()) + 1)
    expected = _counts_by_slot(count, capacity)
    if pending is not None and pending.table == table:
        slots = np.arange(pending.first, pending.first + len(pending.rows)) % capacity
        found[slots] = expected[slots]
    _mend_priority(arrays, table, doubtful)
    size = min(count, capacity)
    if np.array_equal(found[:size], expected[:size]):
        counter["count"] = count
        if unchecked:
            _write_checks(arrays, table, count)
        return TableFinding(size, size)
    if not doubtful:
        found[size:] = -1
    return TableFinding(size, _gather(arrays, table, found, count))


def _gather(arrays: TableArrays, table: int, found: NDArray[np.int64], count: int) -> int:
    """Make the whole rows, in their order, those of a table that was just begun; return how many there are."""
    kept = np.flatnonzero(found >= 0)
    kept = kept[np.argsort(found[kept])]
    counter, words = arrays.counter[table : table + 1], arrays.words[table, kept]
    priority, inserted = arrays.priority[table, kept], count + int(counter["lost"][0])
    counter["count"] = 0  # what a kill leaves before the end is no table
    arrays.words[table, : len(kept)], arrays.priority[table, : len(kept)] = words, priority
    _write_checks(arrays, table, len(kept))
    counter["lost"], counter["restored"], counter["first_key"] = inserted - len(kept), len(kept), 0
    counter["count"] = len(kept)
    return len(kept)


def _write_checks(arrays: TableArrays, table: int, count: int) -> None:
    """Write the checks of a table's rows as they lie, and none of the slots that are not in use."""
    assert arrays.checks is not None
    capacity, words = arrays.rows.shape[1], arrays.words[table]
    size, wrap = min(count, capacity), count % capacity
    arrays.checks.write(table, 0, words[:wrap], count - wrap)
    arrays.checks.write(table, wrap, words[wrap:size], count - capacity)
    arrays.checks.clear(table, size)


def _counts_by_slot(count: int, capacity: int) -> NDArray[np.int64]:
    """Return the count of the row that each slot should hold; below 0 where none was stored yet."""
    slot = np.arange(capacity)
    return count - 1 - (count - 1 - slot) % capacity


def _seemingly_whole(arrays: TableArrays, table: int, count: int) -> NDArray[np.int64]:
    """Return the count of each slot's row, -1 of those that are no transition: not finite, or a page of zeros."""
    capacity = arrays.rows.shape[1]
    found = _counts_by_slot(count, capacity)
    for slot in range(0, capacity, 4096):
        words = arrays.words[table, slot : slot + 4096]
        whole = np.isfinite(words.view(np.float32)).all(axis=1) & words.any(axis=1)
        found[slot : slot + 4096][~whole] = -1
    return np.maximum(found, -1)


def _mend_counter(counter: NDArray) -> None:
    for name in counter.dtype.names or ():
        value = counter[name][0]
        if not (np.isfinite(value) and 0 <= value < _LARGEST.get(name, 1 << 48)):
            counter[name] = 0


def _mend_priority(arrays: TableArrays, table: int, doubtful: bool) -> None:
    """Give the start priority to rows whose own is none, or on a page that may never have been written."""
    priority = arrays.priority[table]
    wrong = ~(np.isfinite(priority) & (priority >= 0))
    if doubtful:
        wrong |= priority == 0
    if wrong.any():
        priority[wrong] = initial_priority(float(arrays.counter["max_priority"][table]))
