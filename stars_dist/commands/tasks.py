"""`stars-dist tasks`: what there is to train on."""

from __future__ import annotations

import json

import typer

from stars_dist.commands.bad_input import reading_input


def tasks(
    suite: str = typer.Option(
        "mt50", help="mt10, mt25, mt50, starter, toy:N, gym:ID,..., or task names with commas."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else."),
) -> None:
    """List the tasks of a suite."""
    from actors.tasks import parse_suite

    with reading_input():
        loaded = parse_suite(suite)
    if as_json:
        print(json.dumps([task._asdict() for task in loaded.tasks]))
        return
    print(
        f"{loaded.name}: {len(loaded.tasks)} tasks, standard budget {loaded.standard_steps:,} environment steps"
    )
    for task in loaded.tasks:
        print(f"{task.id:4d}  {task.name:32s} {task.family:10s} horizon {task.horizon}")
