"""Final scores as pictures: statistics with their intervals, performance profiles, probability of improvement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stars_dist.report.comparison import ComparedMethod, Comparison
from stars_dist.report.figure_style import INK, add_legend, colour, line, wrapped
from stars_dist.report.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

NAME_CHARACTERS = 26  # of a line of a method's name beside its points


def draw_estimates(figure: FigureBase, comparison: Comparison) -> None:
    """Draw a panel for each statistic: a point and its interval for each method."""
    shown = comparison.summaries
    table = figure.subplots(1, len(shown), squeeze=False).ravel()
    from matplotlib.ticker import MaxNLocator

    for axes, summary in zip(table, shown, strict=True):
        _draw_points(axes, [method.estimates[summary.key] for method in comparison.methods])
        axes.set_title(summary.label)
        axes.margins(x=0.15)
        axes.set(yticks=[], ylim=(len(comparison.methods) - 0.5, -0.5))  # the first on top
        axes.xaxis.set_major_locator(MaxNLocator(3))
    _name_rows(table[0], comparison.methods)


def draw_profiles(figure: FigureBase, comparison: Comparison) -> None:
    """Draw the share of tasks and seeds above each level, and the probability of improvement beside it."""
    improved = [method for method in comparison.methods if method.improvement is not None]
    left, *right = figure.subplots(
        1, 2 if improved else 1, squeeze=False, width_ratios=(3, 2)[: 1 + bool(improved)]
    )[0]
    _draw_profiles(left, comparison)
    for axes in right:
        _draw_improvement(axes, improved, comparison.methods[0].name)
    add_legend(figure, *left.get_legend_handles_labels())


def _draw_profiles(axes: Axes, comparison: Comparison) -> None:
    for index, method in enumerate(comparison.methods):
        axes.step(comparison.levels, method.profile.value, where="post", **line(index), label=method.label)
        if len(method.runs) > 1:
            ends = method.profile.low, method.profile.high
            axes.fill_between(
                comparison.levels, *ends, step="post", color=colour(index), alpha=0.15, linewidth=0
            )
    axes.set(
        title="performance profile",
        xlabel=f"{comparison.measure.label}, level",
        ylabel="share of tasks and seeds above it",
        ylim=(-0.03, 1.03),
    )


def _draw_improvement(axes: Axes, improved: Sequence[ComparedMethod], baseline: str) -> None:
    estimates = [method.improvement for method in improved if method.improvement is not None]
    _draw_points(axes, estimates, first_colour=1)
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle="--")
    axes.set(
        title="probability of improvement",
        xlabel=wrapped(f"P(better than {baseline}); 0.5: no difference", 50),
        xlim=(-0.03, 1.03),
    )
    _name_rows(axes, improved)


def _draw_points(axes: Axes, estimates: Sequence[Estimate], first_colour: int = 0) -> None:
    for row, estimate in enumerate(estimates):
        color = colour(row + first_colour)
        value, low, high = (float(end) for end in estimate)
        if not np.isnan(low):
            axes.plot([low, high], [row, row], color=color, linewidth=9, alpha=0.3, solid_capstyle="butt")
        axes.plot(value, row, "|", color=color, markersize=16, markeredgewidth=2.5)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)


def _name_rows(axes: Axes, methods: Sequence[ComparedMethod]) -> None:
    axes.set_yticks(
        range(len(methods)), [wrapped(method.name, NAME_CHARACTERS) for method in methods], fontsize=8
    )
    axes.set_ylim(len(methods) - 0.5, -0.5)
