"""`stars-dist replay`: look into the replay service's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stars_dist.commands.bad_input import reading_input

if TYPE_CHECKING:
    from replay_service.inspection import ShardReport, TableReport

replay = typer.Typer(help="Look into the replay of a run.", rich_markup_mode=None)


@replay.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@replay.command()
def inspect(
    run: Path = typer.Argument(metavar="RUN", help="Run directory, or a directory with shard-*/ in it."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Show what each task's table holds. Reads only, beside a live run too."""
    from replay_service.inspection import inspect_shards

    with reading_input():
        directory = run / "replay" if (run / "replay").is_dir() else run
        shards = inspect_shards(directory)
        names = _task_names(run)
    if as_json:
        print(json.dumps(_to_json(directory, shards, names)))
        return
    print(_table([table for shard in shards for table in shard.tables], names))
    for shard in shards:
        state = ", an insert was cut short and the next start finishes it" * shard.unfinished_insert
        print(f"shard {shard.shard}: process starts {shard.incarnation}{state}")


def _task_names(run: Path) -> dict[int, str]:
    """The names of the run's tasks; none for a replay without a run."""
    from stars_dist.run_directory import RunDirectory

    if not (run / "config.yaml").is_file():
        return {}
    return dict(enumerate(RunDirectory(run).read_config().load_suite().task_names))


def _to_json(directory: Path, shards: list[ShardReport], names: dict[int, str]) -> dict[str, object]:
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


def _table(tables: list[TableReport], names: dict[int, str]) -> str:
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
