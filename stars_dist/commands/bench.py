"""`stars-dist bench`: programs that measure, each with its ratios from one run."""

from __future__ import annotations

import json

import typer

from stars_dist.commands.bad_input import reading_input

bench = typer.Typer(
    help="Measure a part of the system; ratios come from one run.",
    rich_markup_mode=None,
)


@bench.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


@bench.command("launch")
def launch(
    suite: str = typer.Option("mt50", help="The suite to start."),
    actors: int = typer.Option(50, help="Rollout actors, 1 or more."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Start a run on this machine: seconds to the first transitions of all tasks, and memory."""
    from stars_dist.bench.launch import measure, table

    with reading_input():
        if actors < 1:
            raise ValueError(f"--actors must be at least 1, got {actors}")
        from actors.tasks import parse_suite

        parse_suite(suite)
    result = measure(suite, actors)
    if as_json:
        figures = result._asdict()
        del figures["largest"]
        print(json.dumps({name: round(value, 2) for name, value in figures.items()}))
    else:
        print(table(result))
