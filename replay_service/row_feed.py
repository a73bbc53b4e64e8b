"""The row feed: a shard's rows in the order of their keys, for a reader that holds a copy of the tables."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.rows import words
from replay_service.table import Tables
from replay_service.types import ShardStats


class ShardRows(NamedTuple):
    """A shard's answer: the rows that follow those which the reader has, table after table. M tables."""

    rows: NDArray  # row_dtype[n]
    priority: NDArray[np.float64]  # f64[n], raw, as they are now
    task_id: NDArray[np.int32]  # i32[M]
    first: NDArray[np.int64]  # i64[M], count of each table's first row here
    end: NDArray[np.int64]  # i64[M], and of the row after its last one here
    newest: NDArray[np.int64]  # i64[M], transitions of each table in all
    first_key: NDArray[np.int64]  # i64[M], key of the transition with count 0; another one: another table
    max_priority: NDArray[np.float64]  # f64[M], from which the priority of new rows follows
    stats: ShardStats


def rows_since(
    tables: Tables, first_key: NDArray[np.int64], count: NDArray[np.int64], most: int, stats: ShardStats
) -> ShardRows:
    """Read at most about `most` rows beyond the first `count` i64[M] of the tables that `first_key` i64[M] names.

    A reader of other tables is given all from the oldest row on, as is one that has fallen behind the ring.
    """
    newest = tables.count.copy()
    known = np.where((first_key == tables.first_key) & (count <= newest), count, 0)
    first = np.maximum(known, newest - tables.size)
    end = np.minimum(newest, first + max(1, most // len(newest)))
    parts = [tables.copy_range(table, first[table], end[table]) for table in range(len(newest))]
    packed = np.concatenate(
        [words(rows) for rows, _ in parts]
    )  # of records it would leave the padding as it is
    return ShardRows(
        packed.reshape(-1).view(tables.row_dtype),
        np.concatenate([priority for _, priority in parts]),
        tables.task_id,
        first,
        end,
        newest,
        tables.first_key.copy(),
        tables.max_priority.copy(),
        stats,
    )
