"""What the shards of a run hold, as a table and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from replay_service.inspection import ShardReport, TableReport, inspect_shards
from stars_dist.run_files.directory import RunDirectory


class Inspection:
    """The replay of a run directory, or of a directory with shard-*/ in it, as it was when this was made.

    Raises:
        ValueError: there are no shards.
    """

    def __init__(self, path: Path) -> None:
        run = RunDirectory(path)
        self._directory = run.replay if run.replay.is_dir() else path
        self._shards = inspect_shards(self._directory)
        known = run.config_file.is_file()  # none for a replay without a run
        self._names = dict(enumerate(run.read_plan().suite.task_names)) if known else {}

    def to_json(self) -> dict[str, object]:
        """Return plain data with the keys that `stars-dist replay inspect --json` prints."""
        return _to_json(self._directory, self._shards, self._names)

    def text(self) -> str:
        """Format a table with a line per task, and a line per shard."""
        lines = [_table([table for shard in self._shards for table in shard.tables], self._names)]
        for shard in self._shards:
            state = ", an insert was cut short and the next start finishes it" * shard.unfinished_insert
            lines.append(f"shard {shard.shard}: process starts {shard.incarnation}{state}")
        return "\n".join(lines)


def _to_json(directory: Path, shards: Sequence[ShardReport], names: Mapping[int, str]) -> dict[str, object]:
    tables = sorted((table for shard in shards for table in shard.tables), key=lambda t: t.task_id)
    return {
        "directory": str(directory),
        "tasks": [
            {"task": names.get(table.task_id)}
            | table._asdict()
            | {"last_chunk": {actor: chunk._asdict() for actor, chunk in table.last_chunk.items()}}
            for table in tables
        ],
        "shards": [
            {name: value for name, value in shard._asdict().items() if name != "tables"} for shard in shards
        ],
    }


def _table(tables: Sequence[TableReport], names: Mapping[int, str]) -> str:
    label = {table.task_id: names.get(table.task_id, f"task {table.task_id}") for table in tables}
    width = max(map(len, label.values()))
    lines = [
        f"{'task':{width}}  shard       size /   capacity     inserted     priority mass  stale  duplicate"
        f"  {'newest key':>18}  last chunk of each actor"
    ]
    for table in sorted(tables, key=lambda t: t.task_id):
        last = ", ".join(
            f"{actor}:{chunk.sequence}" + f" ({chunk.incarnation})" * bool(chunk.incarnation)
            for actor, chunk in table.last_chunk.items()
        )
        lines.append(
            f"{label[table.task_id]:{width}}  {table.shard:5d} {table.size:10,} / {table.capacity:10,} "
            f"{table.inserted:12,}  {table.priority_mass:16.6g}  {table.stale_updates:5d}  "
            f"{table.duplicate_chunks:9d}  {table.newest_key or '-':>18}  {last or '-'}"
        )
    return "\n".join(lines)
