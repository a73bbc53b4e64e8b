"""The look that the pictures of a report share: colours that the colour-blind tell apart, legends that fit."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#444444",
    "#8c564b",
)  # Okabe and Ito's
# Whole, dashed and dotted; the next is taken once all colours are.
LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
INK = "#1f2933"
LEGEND_CHARACTERS = 140  # that fit beside each other under the panels
HEAT = "cividis"  # reads the same for the colour-blind, and in print
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "svg.hashsalt": "stars-dist",  # the same figure gives the same file
}


@contextmanager
def report_style() -> Iterator[None]:
    """Draw in the look of a report."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        yield


def colour(index: int) -> str:
    """Choose the colour of a method."""
    return COLOURS[index % len(COLOURS)]


def line(index: int) -> dict[str, Any]:
    """Choose colour and dashes of a method's line; no two of the first 24 are alike."""
    return {"color": colour(index), "linestyle": LINES[index // len(COLOURS) % len(LINES)]}


def wrapped(name: str, width: int) -> str:
    """Break a name into lines, at its blanks or after the marks within dotted keys and presets."""
    wrapper = textwrap.TextWrapper(width)
    wrapper.wordsep_re = re.compile(r"(\s+|[^\s._=+]*[._=+])")
    return wrapper.fill(name)


def label_clock(axes: Axes, bins: int = 6) -> None:
    """Write steps and minutes as 40, 200k and 1.5M, at most as many as there is room for."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(bins))


def add_legend(figure: FigureBase, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Write the legend under the panels, in as many columns as its names leave room for."""
    if not labels:
        return
    columns = LEGEND_CHARACTERS // (
        min(max(map(len, labels)), LEGEND_CHARACTERS) + 8
    )  # 8: its line and the gap
    figure.legend(
        handles,
        [wrapped(label, LEGEND_CHARACTERS) for label in labels],
        loc="outside lower center",
        ncols=max(1, min(len(labels), 3, columns)),
        frameon=False,
    )
