"""The files of a report: the HTML page, Markdown with its pictures, CSV and JSON, side by side under one name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from replay_service.atomic_file import atomic_file, write_text
from stars_dist.output_place import check_output_place
from stars_dist.report.comparison import Comparison, compare
from stars_dist.report.csv_tables import write_csv_tables
from stars_dist.report.figures import draw_all, picture_path
from stars_dist.report.finished_run import STEPS, Clock, FinishedRun
from stars_dist.report.html_page import html_page
from stars_dist.report.markdown_page import markdown_page
from stars_dist.report.methods import group_by_method, with_baseline

SUFFIXES = (".html", ".md")


def default_place(run: Path) -> Path:
    """Choose where a report of a run, or one that it leads, is written."""
    return run / "report" / "report.html"


def check_place(out: Path) -> None:
    """Check that a report can be written there; ValueError otherwise."""
    if out.suffix not in SUFFIXES:
        raise ValueError(
            f"--out must name a .html or .md file, got {out}; use {out.with_suffix('.html')}, beside which the "
            "others are written"
        )
    check_output_place("a report", out.parent)


def write_report(
    out: Path,
    title: str,
    runs: Sequence[FinishedRun],
    command: str,
    baseline: str | None = None,
    by: Clock = STEPS,
) -> tuple[Comparison, list[Path]]:
    """Write all forms of a report; return its figures, and the files with the page to read first.

    Raises:
        ValueError: the baseline is none of the methods, or the place cannot be written to.
    """
    methods = with_baseline(group_by_method(runs), baseline)
    check_place(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    comparison = compare(methods, by)
    page, markdown, raw = (out.with_suffix(suffix) for suffix in (".html", ".md", ".json"))
    figures = [run.to_json(method.name) for method in comparison.methods for run in method.runs]
    write_text(raw, json.dumps(figures, indent=1) + "\n")
    drawn = draw_all(comparison)
    write_text(page, html_page(title, comparison, drawn, command))
    write_text(markdown, markdown_page(title, comparison, out, command))
    pictures = [_write_picture(picture_path(out, each.figure), each.png) for each in drawn]
    return comparison, [page, markdown, *pictures, *write_csv_tables(out, comparison), raw]


def _write_picture(path: Path, png: bytes) -> Path:
    with atomic_file(path) as file:
        file.write(png)
    return path
