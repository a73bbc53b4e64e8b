"""`stars-dist sweep`: presets x seeds x overrides from one file, ending in a report."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples

if TYPE_CHECKING:
    from stars_dist.sweep.sweep_file import SweepFile
    from stars_dist.sweep.trial import Trial


@examples(
    "stars-dist sweep docs/examples/sweep.yaml --dry-run",
    "stars-dist sweep docs/examples/sweep.yaml",
    "stars-dist sweep docs/examples/sweep.yaml     # again: goes on where it was interrupted",
)
def sweep(
    file: Path = typer.Argument(
        metavar="FILE.yaml", help="presets, seeds, overrides, suite, steps and more."
    ),
    address: str = typer.Option("local", help="Ray cluster: local (the cores here), auto, or ADDRESS."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the runs and their commands, start nothing."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Run every combination of a file by Ray Tune and compare them; the same command goes on with what is left."""
    from stars_dist.sweep.sweep_file import read_sweep_file

    with checking_input():
        wanted = read_sweep_file(file)
        directory = wanted.directory or Path("runs") / file.stem
        trials = wanted.trials(directory)
    if dry_run:
        _show(trials, as_json)
        return
    _run(wanted, trials, directory, address, as_json)


def _show(trials: list[Trial], as_json: bool) -> None:
    rows = [
        {
            "name": trial.name,
            "run": str(trial.run_dir),
            "done": trial.is_done,
            "command": shlex.join(["stars-dist", *trial.command()[3:]]),
        }
        for trial in trials
    ]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"# {row['name']}{', done' if row['done'] else ''}\n{row['command']}")


def _run(wanted: SweepFile, trials: list[Trial], directory: Path, address: str, as_json: bool) -> None:
    import sys

    from stars_dist.monitor.console import Console
    from stars_dist.sweep.conclusion import conclude
    from stars_dist.sweep.tune_trials import check_installed, run_trials

    console = Console(sys.stderr if as_json else sys.stdout)
    with checking_input():
        check_installed()
        result = run_trials(trials, wanted.cpus_per_run, address, console)
    console.close()
    conclude(result, wanted, directory, as_json)
