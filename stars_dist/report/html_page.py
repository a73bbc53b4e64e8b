"""A report as one HTML page that needs no other file: its pictures are SVG within it, its heat map is a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files

from stars_dist.report.comparison import Comparison
from stars_dist.report.figure_style import HEAT, colour
from stars_dist.report.figures import DrawnFigure
from stars_dist.report.words import findings, number, setting, shared_settings, summary_header, summary_row

TEMPLATE = "report.html.jinja"
_DARK = 0.55  # of a cell's lightness, below which its text is white


def html_page(title: str, comparison: Comparison, figures: Sequence[DrawnFigure], command: str) -> str:
    """Format the page."""
    import jinja2

    source = files("stars_dist.report").joinpath(TEMPLATE).read_text()
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(source).render(
        title=title,
        command=command,
        setting=setting(comparison),
        findings=findings(comparison),
        notes=comparison.notes,
        header=summary_header(comparison),
        rows=[
            [cell.partition(" (")[::2] for cell in summary_row(comparison, method)[1:]]
            for method in comparison.methods
        ],
        colours=[colour(index) for index in range(len(comparison.methods))],
        figures=figures,
        methods=comparison.methods,
        cells=_cells(comparison),
        shared=shared_settings(comparison.runs),
    )


def _cells(comparison: Comparison) -> list[tuple[str, list[list[tuple[str, str]]]]]:
    """Return for each task and method its cells: the text and style of each seed's score, then of their mean."""
    scores = [score for method in comparison.methods for score in method.scores.ravel()]
    low, high = comparison.measure.limits or (min(scores), max(scores))
    rows = []
    for index, task in enumerate(comparison.tasks):
        groups = []
        for method in comparison.methods:
            column = method.scores[:, index].tolist()
            shown = [*column, sum(column) / len(column)] if len(column) > 1 else column
            groups.append([(number(value, 2), _style(value, low, high)) for value in shown])
        rows.append((task, groups))
    return rows


def _style(value: float, low: float, high: float) -> str:
    from matplotlib import colormaps

    share = 1.0 if math.isclose(low, high) else (value - low) / (high - low)
    red, green, blue, _ = colormaps[HEAT](share)
    lightness = 0.299 * red + 0.587 * green + 0.114 * blue
    text = "#fff" if lightness < _DARK else "#1f2933"
    return f"background:rgb({red * 255:.0f},{green * 255:.0f},{blue * 255:.0f});color:{text}"
