"""`stars-dist tasks`: what there is to train on."""

from __future__ import annotations

import json

import typer

from actors.suites import SUITE_GRAMMAR, parse_suite
from stars_dist.errors import checking_input
from stars_dist.help_page import examples


@examples(
    "stars-dist tasks",
    "stars-dist tasks --suite mt10 --json",
)
def tasks(
    suite: str = typer.Option("mt50", help=f"{SUITE_GRAMMAR}."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else."),
) -> None:
    """List the tasks of a suite."""
    with checking_input():
        loaded = parse_suite(suite)
    if as_json:
        print(json.dumps([task._asdict() for task in loaded.tasks]))
        return
    print(
        f"{loaded.name}: {len(loaded.tasks)} tasks, standard budget {loaded.standard_steps:,} environment steps"
    )
    for task in loaded.tasks:
        print(f"{task.id:4d}  {task.name:32s} {task.family:10s} horizon {task.horizon}")
