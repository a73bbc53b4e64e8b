"""`stars-dist report`: compare finished runs."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import typer

from stars_dist.commands.bad_input import reading_input


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
    from stars_dist.report.curves import draw_curves
    from stars_dist.report.finished_run import group_by_method, read_finished_run
    from stars_dist.report.page import report_page
    from stars_dist.run_directory import write_whole

    with reading_input():
        if out.suffix != ".md":
            raise ValueError(f"--out must name a .md file, got {out}; use {out.with_suffix('.md')}")
        finished = [read_finished_run(path) for path in runs]
        suites = sorted({run.evaluation.suite for run in finished})
        if len(suites) > 1:
            raise ValueError(
                f"a report must compare runs of one suite, got {' and '.join(suites)}; write two"
            )
    methods = group_by_method(finished)
    out.parent.mkdir(parents=True, exist_ok=True)
    picture, raw = out.with_suffix(".png"), out.with_suffix(".json")
    draw_curves(picture, methods)
    figures = [run.to_json(method) for method, seeds in methods.items() for run in seeds]
    write_whole(raw, json.dumps(figures, indent=1) + "\n")
    command = shlex.join(["stars-dist", *sys.argv[1:]])
    write_whole(out, report_page(title, methods, picture.name, command))
    print(f"wrote {out}, {picture}, {raw}")
