"""A copy of the replay of a run in one process as it is at one instant, to go on from bit for bit.

<directory>/state.json, state.npz    per shard its random state and counters, per task priorities and histories
<directory>/task-<id>/rows-<first>-<end>.npy    the transitions of these counts, row_dtype[end - first]

Transitions lie in blocks of BLOCK_ROWS counts. A full block never changes, so a copy takes it over from the copy before
as a hard link, and every transition is written about once, however often copies are made.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from replay_service.array_tree import read_tree, write_tree
from replay_service.rows import words
from replay_service.shard import Shard
from replay_service.table import Tables

BLOCK_ROWS = 8192
STATE = "state"


def write_replay(shards: Sequence[Shard], directory: Path, before: Path | None) -> None:
    """Write all shards; `before` is an earlier copy of the same run, which may have gone."""
    directory.mkdir(parents=True)
    write_tree(directory, STATE, [shard.state_dict() for shard in shards])
    for shard in shards:
        for table, task in enumerate(shard.task_ids):
            name = f"task-{task}"
            (directory / name).mkdir()
            _write_rows(shard.tables, table, directory / name, None if before is None else before / name)


def check_capacity(directory: Path, capacity: int) -> None:
    """Check that a copy is of tables of this capacity; one whose tables are not full fits a larger one too.

    Raises:
        ValueError: it is not; nothing was changed.
    """
    for shard in read_tree(directory, STATE):
        for task, state in shard["tables"].items():
            rows, count = len(state["table"]["priority"]), int(state["table"]["counter"]["count"])
            if rows != min(count, capacity):
                raise ValueError(
                    f"replay.capacity_per_task must stay as it was, {directory} holds {rows} of {count} transitions of "
                    f"task {task}, got {capacity}; resume with the configuration that wrote it, or start a new run"
                )


def read_replay(shards: Sequence[Shard], directory: Path) -> None:
    """Bring shards to where they were at the copy; with another number of them, their draws are new ones."""
    states: list[dict[str, Any]] = read_tree(directory, STATE)
    tables = {task: state for shard in states for task, state in shard["tables"].items()}
    for index, shard in enumerate(shards):
        own = states[index] if len(states) == len(shards) else {}
        shard.load_state_dict({**own, "tables": {str(task): tables[str(task)] for task in shard.task_ids}})
        for table, task in enumerate(shard.task_ids):
            _read_rows(shard.tables, table, directory / f"task-{task}")


def _write_rows(tables: Tables, table: int, directory: Path, before: Path | None) -> None:
    count, size = int(tables.count[table]), int(tables.size[table])
    kept = {end: (first, path) for first, end, path in _files(before)} if before is not None else {}
    for first, end in _blocks(count - size, count, BLOCK_ROWS):
        known_first, known = kept.get(end, (first, None))
        if known is not None and known_first <= first and end % BLOCK_ROWS == 0:
            _take_over(known, directory / known.name)
        else:
            parts = _blocks(first, end, tables.capacity)  # they must not wrap
            rows = np.concatenate([words(tables.copy_rows(table, *part)) for part in parts])
            np.save(directory / f"rows-{first}-{end}.npy", rows)


def _read_rows(tables: Tables, table: int, directory: Path) -> None:
    count, size = int(tables.count[table]), int(tables.size[table])
    for first, end, path in _files(directory):
        packed = np.load(path, allow_pickle=False)
        low, high = max(first, count - size), min(end, count)
        for start, stop in _blocks(low, high, tables.capacity):
            tables.put_rows(table, start, packed[start - first : stop - first])


def _blocks(first: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Cut a range at the multiples of `size`."""
    while first < end:
        stop = min((first // size + 1) * size, end)
        yield first, stop
        first = stop


def _files(directory: Path) -> list[tuple[int, int, Path]]:
    return [(*map(int, path.stem.split("-")[1:]), path) for path in directory.glob("rows-*-*.npy")]  # pyright: ignore[reportReturnType]


def _take_over(known: Path, path: Path) -> None:
    try:
        os.link(known, path)
    except OSError:  # a file system without hard links
        shutil.copyfile(known, path)
