"""What the files of a run's shards hold at the end, laid beside what the actors were told is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.acknowledgement_log import Acknowledged, read_acknowledged, row_digests
from stars_dist.chaos.scene import RollBack

OVERWRITE_MARGIN_S = 60.0  # within which two actors' acknowledgements may be in another order than their rows


class StoredTable(NamedTuple):
    """One task's table."""

    digest: NDArray[np.uint64]  # u64[size], of its rows, oldest first
    overwritten: int  # rows that it has held besides
    inserted: int  # transitions ever stored, as it counts them


class TransitionAudit(NamedTuple):
    """The comparison, in transitions."""

    acknowledged: int
    lost: int  # acknowledged and nowhere
    duplicates: int  # stored more often than acknowledged, and more than once
    rolled_back: int  # acknowledged and gone with files that were put back
    overwritten: int  # acknowledged and gone from a full ring
    inserted: int  # by the tables' own counters


def audit_transitions(
    replay: Path, acknowledgements: Path, roll_backs: Sequence[RollBack]
) -> TransitionAudit:
    """Compare the files of a run that has ended with the actors' logs."""
    logged: dict[int, list[Acknowledged]] = {}
    for path in acknowledgements.glob("actor-*.jsonl"):
        for entry in read_acknowledged(path)[0]:
            logged.setdefault(entry.task_id, []).append(entry)
    tables = read_tables(replay)
    audits = [
        _audit_task(tables.get(task), logged.get(task, []), [r for r in roll_backs if task in r.task_ids])
        for task in sorted(tables.keys() | logged.keys())
    ]
    return TransitionAudit(*(sum(column) for column in zip(*audits, strict=True)) if audits else (0,) * 6)


def read_tables(replay: Path) -> dict[int, StoredTable]:
    """Read the tables of all shards by task, an insertion that a kill cut short after its commit included."""
    found: dict[int, StoredTable] = {}
    for path in sorted(replay.glob("shard-*")):
        layout = json.loads((path / "layout.json").read_text())
        files = {file.stem: np.load(file, mmap_mode="r") for file in path.glob("*.npy")}
        pending = files["journal_header"] if files["journal_committed"] else None
        for row, task in enumerate(layout["task_id"]):
            found[task] = _read_table(files, row, layout["capacity"], pending)
    return found


def _read_table(files: dict[str, NDArray], row: int, capacity: int, pending: NDArray | None) -> StoredTable:
    counter = files["tables"][row]
    count, digest = (
        int(counter["count"]),
        row_digests(files["transitions"][row, : min(int(counter["count"]), capacity)]),
    )
    if pending is not None and pending["table"] == row:
        first, rows = int(pending["first"]), int(pending["rows"])
        slots = np.arange(first, first + rows) % capacity
        digest = np.resize(digest, max(len(digest), min(first + rows, capacity)))
        digest[slots], count = row_digests(files["journal_transitions"][:rows]), first + rows
    oldest = count % capacity if count > capacity else 0
    return StoredTable(np.roll(digest, -oldest), count - len(digest), count + int(counter["lost"]))


def _audit_task(
    table: StoredTable | None, logged: list[Acknowledged], roll_backs: Sequence[RollBack]
) -> TransitionAudit:
    if table is None:
        table = StoredTable(np.zeros(0, np.uint64), 0, 0)
    # Times of each: after a lost provenance.json an actor's random stream repeats, and with it a chunk.
    at: dict[int, list[float]] = {}
    for entry in logged:
        for digest in entry.digest.tolist():
            at.setdefault(digest, []).append(entry.at)
    acknowledged = Counter({digest: len(times) for digest, times in at.items()})
    stored = Counter(table.digest.tolist())
    missing = acknowledged - stored
    surplus = stored - acknowledged
    duplicates = sum(count - (digest not in acknowledged) for digest, count in surplus.items())
    gone = {digest: min(n, _number_within(roll_backs, at[digest])) for digest, n in missing.items()}
    rolled_back = sum(gone.values())
    # The oldest row of a full ring tells until when rows are gone.
    until = next((max(at[digest]) for digest in table.digest.tolist() if digest in at), 0.0)
    others = sum(
        n - gone[digest] for digest, n in missing.items() if min(at[digest]) <= until + OVERWRITE_MARGIN_S
    )
    overwritten = min(others, table.overwritten)
    lost = missing.total() - rolled_back - overwritten
    return TransitionAudit(acknowledged.total(), lost, duplicates, rolled_back, overwritten, table.inserted)


def _number_within(roll_backs: Sequence[RollBack], times: Sequence[float]) -> int:
    return sum(any(r.copied_at < at < r.restored_at for r in roll_backs) for at in times)
