"""`stars-dist runs`: what has been trained here."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples

DEFAULT = Path("runs")


@examples(
    "stars-dist runs",
    "stars-dist runs results/ --json",
)
def runs(
    directory: Path | None = typer.Argument(
        None, metavar="[DIR]", help="Where the runs lie, at any depth.  [default: runs]"
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """List runs, newest first: state, success, steps, time left, age. ~ marks success in rollouts."""
    import sys

    from stars_dist.monitor.terminal import columns_of
    from stars_dist.status.run_list import list_runs, runs_table

    place = DEFAULT if directory is None else directory
    with checking_input():
        found = [] if directory is None and not place.exists() else list_runs(place)  # the first run makes it
    if as_json:
        print(json.dumps([status.to_json() for status in found]))
    elif found:
        print(runs_table(found, columns_of(sys.stdout)))
    else:
        print(f"no runs in {place}; `stars-dist launch` makes one")
