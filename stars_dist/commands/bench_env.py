"""`stars-dist bench env`: how fast Meta-World is stepped, and how fast it could be at most."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path

import typer

from stars_dist.commands.bad_input import reading_input


class Actions(StrEnum):
    RANDOM = "random"
    SCRIPTED = "scripted"


def bench_env(
    suite: str = typer.Option("mt50", help="mt10, mt25, mt50, or Meta-World tasks with commas."),
    steps: int = typer.Option(200, help="Steps a task of each kind."),
    actions: Actions = typer.Option(
        Actions.RANDOM, help="Uniform actions, or Meta-World's scripted policies."
    ),
    seed: int = typer.Option(1, help="Of the goals and the random actions."),
    write: Path | None = typer.Option(
        None, metavar="DIR", help="Also write figures with provenance, and a plot."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Time a step of stock Meta-World, of ours, and of MuJoCo alone, interleaved."""
    from actors.tasks import parse_suite

    with reading_input():
        if steps < 1:
            raise ValueError(f"--steps must be at least 1, got {steps}")
        loaded = parse_suite(suite)
        if loaded.tasks[0].family != "metaworld":
            raise ValueError(f"--suite must be of Meta-World, got {suite}; use mt10, mt25 or mt50")
    from stars_dist.bench.env import measure, summary
    from stars_dist.bench.env_report import table
    from stars_dist.bench.env_report import write as write_report
    from stars_dist.provenance import this_start

    timings = measure(loaded, steps, seed, actions.value, lambda timing: print(timing.name, file=sys.stderr))
    if write is not None:
        write_report(write, timings, actions.value, this_start() | {"seed": seed})
    print(json.dumps(summary(timings)) if as_json else table(timings))
