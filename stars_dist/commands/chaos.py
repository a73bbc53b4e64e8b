"""`stars-dist chaos`: train while everything is killed, frozen and filled up, and audit what is left."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples


@examples(
    "stars-dist chaos --suite mt10 --minutes 5 --seed 1",
)
def chaos(
    suite: str = typer.Option("mt10", help="As in launch."),
    minutes: float = typer.Option(10.0, metavar="M", help="How long faults strike, once the training runs."),
    seed: int = typer.Option(1, metavar="S", help="Of the faults and of the training."),
    nodes: int = typer.Option(
        0,
        metavar="N",
        help="Ray nodes beside the driver's, with run directories of their own, to be lost too.",
    ),
    run_dir: Path | None = typer.Option(
        None, help="Keep the run and its logs in this new directory.  [default: only if something failed]"
    ),
    preset: list[str] = typer.Option(["laptop"], help="As in launch; repeatable."),
    set_: list[str] = typer.Option([], "--set", help="key.subkey=value for any field; repeatable."),
    write: Path | None = typer.Option(
        None, metavar="DIR", help="Also write chaos.md and its raw figures there."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Kill, freeze, pause and roll back a real training at random, then audit it; exit code 1 if anything was lost."""
    with checking_input():
        _check(minutes, seed, nodes, run_dir)
        _check_places(run_dir, write)
        _check_plan(suite, preset, set_)
    from stars_dist.chaos.chaos_run import ChaosOptions, ChaosRun

    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: everything that was started is ended
        signal.signal(number, signal.default_int_handler)
    from stars_dist.run_files.provenance import this_start

    started, start, load = time.monotonic(), this_start(), []

    def log(line: str) -> None:
        load.append(os.getloadavg()[0])
        print(
            f"[{time.monotonic() - started:7.1f} s] {line}",
            file=sys.stderr if as_json else sys.stdout,
            flush=True,
        )

    try:
        result = ChaosRun(ChaosOptions(suite, minutes, seed, nodes, run_dir, preset, set_), log).run()
    except RuntimeError as error:  # nothing was struck yet
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    print(json.dumps(result.to_json()) if as_json else f"\n{result.text()}")
    if write is not None:
        from stars_dist.chaos.page import write_page

        write_page(write, result, start, tuple(load))
    if result.has_failed:
        raise typer.Exit(1)


def _check(minutes: float, seed: int, nodes: int, run_dir: Path | None) -> None:
    if not (math.isfinite(minutes) and minutes > 0):
        raise ValueError(f"--minutes must be a number above 0, got {minutes}; use --minutes 5")
    if not 0 <= seed < 2**32:
        raise ValueError(f"--seed must be 0 to 2^32 - 1, got {seed}; use --seed 1")
    if not 0 <= nodes <= 16:
        raise ValueError(f"--nodes must be 0 to 16, got {nodes}; use --nodes 2")
    if run_dir is not None and run_dir.exists():
        raise ValueError(f"--run-dir must name a directory that is not there yet, {run_dir} is; use another")


def _check_places(run_dir: Path | None, write: Path | None) -> None:
    from stars_dist.output_place import check_output_place

    for place, option in ((run_dir, "--run-dir"), (write, "--write")):
        if place is not None:
            check_output_place("what is left of a chaos run", place, option)


def _check_plan(suite: str, presets: list[str], assignments: list[str]) -> None:
    from stars_dist.config.merge import command_layers, resolve

    resolve(command_layers(presets, assignments, {("--suite", "suite"): suite}))
