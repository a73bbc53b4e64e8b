"""The tasks one by one as pictures: a heat map of each over the training, and its learning curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from stars_dist.report.comparison import ComparedMethod, Comparison
from stars_dist.report.curves import (
    MOST_RUNS,
    at_common_moments,
    draw_estimate,
    interval,
)
from stars_dist.report.figure_style import HEAT, add_legend, label_clock, line, wrapped
from stars_dist.report.finished_run import Clock, Curve
from stars_dist.report.statistics import Scores, mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

COLUMNS = 5  # of learning curves
HEAT_COLUMNS = 3  # of heat maps, one per method
MOMENTS = 120  # at most, at which a heat map is computed


def heat_rows(comparison: Comparison) -> int:
    """Count the rows of heat maps."""
    return math.ceil(len(comparison.methods) / HEAT_COLUMNS)


def curve_rows(comparison: Comparison) -> int:
    """Count the rows of learning curves."""
    return math.ceil(len(comparison.tasks) / COLUMNS)


def draw_heat_maps(figure: FigureBase, comparison: Comparison) -> None:
    """Draw for each method task x time, the mean of its seeds, with the final score beside each row."""
    columns = min(HEAT_COLUMNS, len(comparison.methods))
    table = figure.subplots(heat_rows(comparison), columns, squeeze=False, sharey=True).ravel()
    low, high = comparison.measure.limits or (None, None)
    image = None
    for axes, method in zip(table, comparison.methods, strict=False):
        moments, scores = _mean_of_seeds(method, comparison.clock)
        image = axes.pcolormesh(
            _edges(moments), _edges(np.arange(scores.shape[1])), scores.T, cmap=HEAT, vmin=low, vmax=high
        )
        axes.grid(visible=False)
        axes.set(
            title=wrapped(method.label, 36),
            xlabel=comparison.clock.label,
            ylim=(scores.shape[1] - 0.5, -0.5),
        )
        label_clock(axes)
        axes.tick_params(axis="y", labelsize=8)
        _write_final(axes, method)
    table[0].set_yticks(range(len(comparison.tasks)), comparison.tasks)
    for axes in table[len(comparison.methods) :]:
        axes.set_visible(False)
    if image is not None:
        figure.colorbar(image, ax=list(table), label=comparison.measure.label, fraction=0.03, pad=0.02)


def draw_task_curves(figure: FigureBase, comparison: Comparison) -> None:
    """Draw the evaluations of every task: the mean of the seeds with its interval, and of few runs each seed, thin."""
    columns, count = min(COLUMNS, len(comparison.tasks)), len(comparison.tasks)
    table = figure.subplots(curve_rows(comparison), columns, squeeze=False).ravel()  # shared axes cost n * n
    limits = _limits(comparison)
    for task, (axes, name) in enumerate(zip(table, comparison.tasks, strict=False)):
        axes.set(xlim=limits[0], ylim=limits[1])
        for index, method in enumerate(comparison.methods):
            _draw_task(axes, comparison, method, task, line(index))
        axes.set_title(name.removesuffix("-v3"), fontsize=9, fontweight="normal")
        label_clock(axes, 3)
        axes.tick_params(labelleft=task % columns == 0, labelbottom=task + columns >= count)
    for axes in table[count:]:
        axes.set_visible(False)
    add_legend(figure, *table[0].get_legend_handles_labels())


def _limits(comparison: Comparison) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ends of both axes, the same for all tasks."""
    curves = [run.evaluations for run in comparison.runs]
    clocks = [getattr(curve, comparison.clock.name) for curve in curves]
    last = max((float(clock[-1]) for clock in clocks if len(clock)), default=1.0)
    if comparison.measure.limits:
        return (0, 1.02 * last), (-0.05, 1.05)
    scores = np.concatenate(
        [comparison.methods[0].scores.ravel(), *(curve.scores.ravel() for curve in curves)]
    )
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    room = 0.05 * max(high - low, 1e-9)
    return (0, 1.02 * last), (low - room, high + room)


def _draw_task(
    axes: Axes, comparison: Comparison, method: ComparedMethod, task: int, style: dict[str, Any]
) -> None:
    curves = [
        Curve(c.env_steps, c.minutes, c.scores[:, task : task + 1])
        for c in (r.evaluations for r in method.runs)
    ]
    clock = comparison.clock
    for curve in curves if len(comparison.runs) <= MOST_RUNS else ():
        axes.plot(getattr(curve, clock.name), curve.scores, color=style["color"], linewidth=0.6, alpha=0.7)
    draw_estimate(axes, *interval(curves, clock, mean), style, method.label)


def _mean_of_seeds(method: ComparedMethod, clock: Clock) -> tuple[Scores, Scores]:
    """Return moments f64[N] that all seeds cover, and the mean of the seeds at each, f64[N, T]."""
    curves = [run.evaluations for run in method.runs if len(run.evaluations.env_steps)]
    if not curves:
        return np.zeros(1), method.scores.mean(axis=0, keepdims=True)
    moments, scores = at_common_moments(curves, clock, MOMENTS)
    return moments, scores.mean(axis=1)


def _edges(centres: Scores) -> Scores:
    """Return the edges of the cells around centres."""
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def _write_final(axes: Axes, method: ComparedMethod) -> None:
    for row, score in enumerate(method.scores.mean(axis=0)):
        axes.annotate(
            f"{score:.2f}" if abs(score) < 10 else f"{score:,.0f}",
            (1.01, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=7,
            annotation_clip=False,
        )
