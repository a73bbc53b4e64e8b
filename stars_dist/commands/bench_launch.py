"""`stars-dist bench launch`: how soon all tasks act and what the processes of a run hold."""

from __future__ import annotations

import json

import typer

from stars_dist.commands.bad_input import reading_input


def bench_launch(
    suite: str = typer.Option("mt50", help="The suite to start."),
    actors: int = typer.Option(50, help="Rollout actors, 1 or more."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Start a run on this machine: seconds to the first transitions of all tasks, and memory."""
    from actors.tasks import parse_suite
    from stars_dist.bench.launch import measure, table

    with reading_input():
        if actors < 1:
            raise ValueError(f"--actors must be at least 1, got {actors}")
        parse_suite(suite)
    result = measure(suite, actors)
    if as_json:
        figures = result._asdict()
        del figures["largest"]
        print(json.dumps({name: round(value, 2) for name, value in figures.items()}))
    else:
        print(table(result))
