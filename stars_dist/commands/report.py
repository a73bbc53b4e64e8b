"""`stars-dist report`: what finished runs have reached, and how methods compare."""

from __future__ import annotations

import json
import shlex
import sys
from enum import StrEnum
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples

COMPARISON = "What is compared"
FILES = "What is written"


class By(StrEnum):
    """What the compared runs have alike."""

    STEPS = "steps"
    TIME = "time"


@examples(
    "stars-dist report runs/first                                  # one run: runs/first/report/report.html",
    "stars-dist report runs/a-s1 runs/a-s2 runs/b-s1 runs/b-s2 --out results/methods.html",
    "stars-dist report runs/*-s1 runs/*-s2 --baseline mtsac+laptop --title 'STARS and multi-task SAC'",
    "stars-dist report runs/a runs/b --by time                      # of different budgets, each in its time",
    "stars-dist report runs/first --json",
)
def report(
    runs: list[Path] = typer.Argument(
        metavar="RUN...", help="Directories of finished runs; runs of one method are its seeds."
    ),
    baseline: str | None = typer.Option(
        None,
        metavar="METHOD|RUN",
        help="What the others are tested against: a method's name in the report, its presets, or one of the runs.  "
        "[default: the method of the first run]",
        rich_help_panel=COMPARISON,
    ),
    by: By = typer.Option(
        By.STEPS,
        help="What the runs have alike: environment steps, or the time they took, of whatever number of steps.",
        rich_help_panel=COMPARISON,
    ),
    out: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="FILE.html or FILE.md; pages, pictures, tables and raw figures get its name.  "
        "[default: RUN/report/report.html in the first run]",
        rich_help_panel=FILES,
    ),
    title: str | None = typer.Option(
        None, help="Title of the page.  [default: suite and number of runs]", rich_help_panel=FILES
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Write a page that compares methods: learning curves of all seeds, intervals, tests, every task, commands."""
    from stars_dist.report.finished_run import STEPS, TIME
    from stars_dist.report.methods import read_finished_runs
    from stars_dist.report.report_files import default_place, write_report
    from stars_dist.report.words import findings

    command = shlex.join(["stars-dist", *sys.argv[1:]])
    with checking_input():
        clock = STEPS if by is By.STEPS else TIME
        finished = read_finished_runs(runs, clock)
        suite, count = finished[0].evaluation.suite, f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"
        place = out or default_place(runs[0])
        named = title or f"{suite}: {count}"
        comparison, files = write_report(place, named, finished, command, baseline, clock)
    if as_json:
        figures = [method.to_json() for method in comparison.methods]
        print(json.dumps({"methods": figures, "notes": comparison.notes, "files": list(map(str, files))}))
        return
    print("\n".join([*findings(comparison), *(f"note: {note}" for note in comparison.notes)]))
    print(f"wrote {', '.join(map(str, files))}")
