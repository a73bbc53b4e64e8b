"""The pictures of a report: each with its size and caption, as PNG for Markdown and as SVG within the HTML page."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stars_dist.report import curves
from stars_dist.report.comparison import Comparison
from stars_dist.report.figure_style import report_style
from stars_dist.report.score_figures import draw_estimates, draw_profiles
from stars_dist.report.task_figures import curve_rows, draw_heat_maps, draw_task_curves, heat_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase

WIDTH = 13.0  # inches
DPI = 110


class ReportFigure(NamedTuple):
    """One picture."""

    name: str  # in the names of files; the first picture has none
    title: str
    caption: str
    draw: Callable[[FigureBase, Comparison], None]
    height: Callable[[Comparison], float]  # inches


FIGURES = (
    ReportFigure("", "Learning curves", curves.CAPTION, curves.draw_curves, lambda c: 4.4 + _legend(c)),
    ReportFigure(
        "scores",
        "Final scores",
        "Final evaluations: the mark is the value, the bar its 95 % interval over the seeds of each task.",
        draw_estimates,
        lambda c: 1.3 + 0.55 * len(c.methods),
    ),
    ReportFigure(
        "profile",
        "Performance profile",
        "For each level, the share of all tasks and seeds whose final score is above it; a curve that lies above "
        "another everywhere is better at every quantile. Right, with several methods: how probably a run beats one "
        "of the baseline on a task, a tie counting half.",
        draw_profiles,
        lambda c: 4.2 + _legend(c),
    ),
    ReportFigure(
        "tasks",
        "Tasks over the training",
        "Each row is a task, each column of colours an evaluation, the mean of the seeds; numbers are final scores.",
        draw_heat_maps,
        lambda c: heat_rows(c) * (1.6 + 0.21 * len(c.tasks)),
    ),
    ReportFigure(
        "task-curves",
        "Learning curve of every task",
        "Evaluations: the mean of the seeds, band: its 95 % interval; with at "
        f"most {curves.MOST_RUNS} runs every seed too, thin.",
        draw_task_curves,
        lambda c: 1.75 * curve_rows(c) + 0.3 + _legend(c),
    ),
)


class DrawnFigure(NamedTuple):
    """A picture in both of its forms."""

    figure: ReportFigure
    png: bytes
    svg: str  # an element, without what precedes it in a file


def picture_path(out: Path, figure: ReportFigure) -> Path:
    """Name the PNG of a figure beside a page."""
    return out.with_name(f"{out.stem}-{figure.name}.png" if figure.name else f"{out.stem}.png")


def draw_all(comparison: Comparison) -> list[DrawnFigure]:
    """Draw every picture of a report."""
    with report_style():
        return [_both_forms(figure, drawn(figure, comparison)) for figure in FIGURES]


def drawn(figure: ReportFigure, comparison: Comparison) -> Figure:
    """Draw a picture."""
    from matplotlib.figure import Figure

    whole = Figure(figsize=(WIDTH, figure.height(comparison)), layout="constrained")
    figure.draw(whole, comparison)
    return whole


def _both_forms(figure: ReportFigure, whole: Figure) -> DrawnFigure:
    png, svg = io.BytesIO(), io.StringIO()
    whole.savefig(png, dpi=DPI, format="png")
    whole.set_layout_engine("none")  # its places are found
    whole.savefig(svg, format="svg", metadata={"Date": None})
    return DrawnFigure(figure, png.getvalue(), svg.getvalue()[svg.getvalue().index("<svg") :])


def _legend(comparison: Comparison) -> float:
    """Return the height of the legend, in inches."""
    return 0.2 * len(comparison.methods)
