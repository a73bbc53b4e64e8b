"""Inspection: what the files of mapped shards hold, read without opening the shards.

Nothing is locked or written, so it works on a dead run's directory and beside a live one, whose counts may be those
of neighbouring instants.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.checked_record import read_record
from replay_service.priority import priority_mass
from replay_service.storage import LAYOUT_FILE, LAYOUT_VERSION


class LastChunk(NamedTuple):
    """The newest stored chunk of one actor."""

    incarnation: int
    sequence: int


class TableReport(NamedTuple):
    """What the files hold of one task."""

    task_id: int
    shard: int
    capacity: int
    size: int
    inserted: int  # transitions ever stored, lost ones included
    newest_key: int | None  # None before the first transition
    priority_mass: float
    sampled: int
    stale_updates: int
    duplicate_chunks: int
    episodes: int
    last_chunk: dict[int, LastChunk]  # by actor


class ShardReport(NamedTuple):
    """What the files hold of one shard."""

    shard: int
    incarnation: int  # starts of its process
    unfinished_insert: bool  # cut short by a kill; the next start finishes it
    tables: list[TableReport]


def inspect_shards(directory: Path) -> list[ShardReport]:
    """Read the shards of a replay directory, in order.

    Raises:
        ValueError: there are none, or they are of another version or were cut short in their creation.
    """
    found = [path for path in directory.glob("shard-*") if (path / LAYOUT_FILE).is_file()]
    if not found:
        raise ValueError(
            f"a replay directory must hold shard-*/layout.json, {directory} does not; "
            f"replay.storage=memory leaves no files"
        )
    return sorted((_inspect(path) for path in found), key=lambda report: report.shard)


def _inspect(directory: Path) -> ShardReport:
    layout = read_record(directory / LAYOUT_FILE)
    if layout["version"] != LAYOUT_VERSION:
        raise ValueError(
            f"replay files must be of layout version {LAYOUT_VERSION}, {directory} is of {layout['version']}; "
            f"use the version of stars-dist that wrote them"
        )
    try:
        files = {path.stem: np.load(path, mmap_mode="r") for path in directory.glob("*.npy")}
        shard = files["shard"]
        tables = [_table(row, layout, files) for row in range(len(layout["task_id"]))]
        unfinished = bool(files["journal_committed"])
    except KeyError as missing:
        raise ValueError(
            f"{directory} must hold {missing.args[0]}.npy and does not: its process was killed while it made "
            f"the files; nothing was stored in it yet"
        ) from None
    return ShardReport(layout["shard"], int(shard["incarnation"]), unfinished, tables)


def _table(row: int, layout: dict, files: dict[str, NDArray]) -> TableReport:
    counter, capacity = files["tables"][row], layout["capacity"]
    count = int(counter["count"])
    size = min(count, capacity)
    shard = files["shard"]
    alpha, epsilon = float(shard["priority_exponent"]), float(shard["priority_epsilon"])
    return TableReport(
        task_id=layout["task_id"][row],
        shard=layout["shard"],
        capacity=capacity,
        size=size,
        inserted=count + int(counter["lost"]),
        newest_key=int(counter["first_key"]) + count - 1 if count else None,
        priority_mass=float(priority_mass(files["priority"][row, :size], alpha, epsilon).sum()),
        sampled=int(counter["sampled"]),
        stale_updates=int(counter["stale"]),
        duplicate_chunks=int(files["duplicates"][row]),
        episodes=int(files["episode_counts"][row]),
        last_chunk=_last_chunks(files["ledger"][row]),  # the dedup window's file, see dedup_window.py
    )


def _last_chunks(entries: NDArray) -> dict[int, LastChunk]:
    actors = np.flatnonzero(entries["next_sequence"])
    return {
        actor: LastChunk(int(entries["incarnation"][actor]), int(entries["next_sequence"][actor]) - 1)
        for actor in actors.tolist()
    }
