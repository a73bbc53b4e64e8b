"""The end of a sweep: what is done, what failed and where its output is, and the report."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import typer

from stars_dist.config.count_words import counted
from stars_dist.report.methods import read_finished_runs
from stars_dist.report.report_files import write_report
from stars_dist.sweep.seeds import INTERRUPTED
from stars_dist.sweep.sweep_file import SweepFile
from stars_dist.sweep.tune_trials import OUTPUT, SweepResult


def conclude(result: SweepResult, wanted: SweepFile, directory: Path, as_json: bool) -> None:
    """Write the report over all runs that are done and say what is left.

    Raises:
        typer.Exit: with 130 after an interruption, with 1 where a run failed.
    """
    pages, problem = [], None
    if result.done and not result.was_interrupted:
        try:
            pages = _report(result, wanted, directory)
        except ValueError as error:  # such as overrides that give runs other budgets
            problem = str(error)
    if as_json:
        print(json.dumps(_to_json(result, pages) | {"no_report": problem}))
    else:
        print("\n".join([*_lines(result, pages), *([f"no report: {problem}"] if problem else [])]))
    if result.was_interrupted:
        raise typer.Exit(INTERRUPTED)
    if result.failed:
        raise typer.Exit(1)


def _report(result: SweepResult, wanted: SweepFile, directory: Path) -> list[Path]:
    first = wanted.baseline or wanted.presets[0]
    runs = sorted(result.done, key=lambda trial: not trial.name.startswith(f"{first}-"))
    finished = read_finished_runs([trial.run_dir for trial in runs])
    command = shlex.join(["stars-dist", *sys.argv[1:]])
    return write_report(directory / "report.html", f"Sweep {directory.name}", finished, command)[1]


def _to_json(result: SweepResult, pages: list[Path]) -> dict[str, object]:
    return {
        "done": [str(trial.run_dir) for trial in result.done],
        "failed": [str(trial.run_dir) for trial in result.failed],
        "was_interrupted": result.was_interrupted,
        "report": [str(page) for page in pages],
    }


def _lines(result: SweepResult, pages: list[Path]) -> list[str]:
    wanted = len(result.done) + len(result.failed)
    lines = [f"{len(result.done)} of {counted(wanted, 'run')} done"]
    if result.was_interrupted:
        lines.append("interrupted; go on by the same command")
    else:
        lines += [
            f"failed: {trial.name}, its output is in {trial.run_dir}.{OUTPUT}" for trial in result.failed
        ]
    return lines + [f"wrote {page}" for page in pages]
