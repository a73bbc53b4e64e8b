"""`stars-dist report`: compare finished runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples


@examples(
    "stars-dist report runs/a runs/b --out comparison.md",
)
def report(
    runs: list[Path] = typer.Argument(
        metavar="RUN...", help="Directories of finished runs; the first one's method leads the comparison."
    ),
    out: Path = typer.Option(
        ..., metavar="FILE.md", help="Page to write; its picture and raw figures get its name."
    ),
    title: str = typer.Option("Results", help="Title of the page."),
) -> None:
    """Write a page that compares methods: table, learning curves of all seeds, raw figures, commands."""
    from stars_dist.report.finished_run import read_finished_runs
    from stars_dist.report.page import write_report

    with checking_input():
        if out.suffix != ".md":
            raise ValueError(f"--out must name a .md file, got {out}; use {out.with_suffix('.md')}")
        finished = read_finished_runs(runs)
    command = shlex.join(["stars-dist", *sys.argv[1:]])
    print(f"wrote {', '.join(map(str, write_report(out, title, finished, command)))}")
