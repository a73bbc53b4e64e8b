"""`stars-dist runs`: what has been trained here."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples


@examples(
    "stars-dist runs",
    "stars-dist runs results/ --json",
)
def runs(
    directory: Path = typer.Argument(Path("runs"), metavar="[DIR]", help="Where the runs lie, at any depth."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """List runs, newest first: state, success, steps, time left, age. ~ marks success in rollouts."""
    from stars_dist.status.run_list import list_runs, runs_table

    with checking_input():
        found = list_runs(directory)
    if as_json:
        print(json.dumps([status.to_json() for status in found]))
    elif found:
        print(runs_table(found))
    else:
        print(f"no runs in {directory}; `stars-dist launch` makes one")
