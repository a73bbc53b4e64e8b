"""`stars-dist replay`: look into the replay service's files."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import CommandWithExamples, examples

replay = typer.Typer(help="Look into the replay of a run.", rich_markup_mode=None)


@replay.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    """Show the help where no command is named."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@replay.command(cls=CommandWithExamples)
@examples(
    "stars-dist replay inspect runs/first",
    "stars-dist replay inspect runs/first --json",
)
def inspect(
    run: Path = typer.Argument(metavar="RUN", help="Run directory, or a directory with shard-*/ in it."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Show what each task's table holds. Reads only, beside a live run too."""
    from stars_dist.report.replay_inspection import Inspection

    with checking_input():
        inspection = Inspection(run)
    print(json.dumps(inspection.to_json()) if as_json else inspection.text())
