"""Learning curves: a method's mean with its interval; of few runs also every seed, thin, over faint rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_dist.report.comparison import ComparedMethod, Comparison
from stars_dist.report.figure_style import add_legend, label_clock, line
from stars_dist.report.finished_run import STEPS, TIME, Clock, Curve
from stars_dist.report.statistics import Estimate, Scores, Statistic, mean, stratified_bootstrap, worst_five

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase

MOMENTS = 60  # at most, at which an interval is computed
ROLLOUT_POINTS = 150  # at most, that are drawn of a run
MOST_RUNS = 12  # of which each is drawn, beside the means of the methods
CAPTION = (
    "Evaluations (the policy's mode, all goals): the mean of the seeds thick, band: its 95 % interval by stratified "
    f"bootstrap over the seeds of each task. With at most {MOST_RUNS} runs every seed too, thin with dots, and faint "
    "its rollouts (training episodes with noisy actions)."
)


class Panel(NamedTuple):
    """What is drawn against which clock."""

    statistic: Statistic
    clock: Clock
    title: str


def draw_curves(figure: FigureBase, comparison: Comparison) -> None:
    """Draw the mean against both clocks, and the worst tasks against the one that the runs are compared by."""
    panels = (
        Panel(mean, STEPS, "mean of the tasks"),
        Panel(mean, TIME, "mean of the tasks"),
        Panel(worst_five, comparison.clock, "mean of the five worst tasks"),
    )
    table = figure.subplots(1, len(panels))
    for axes, panel in zip(table, panels, strict=True):
        for index, method in enumerate(comparison.methods):
            if len(comparison.runs) <= MOST_RUNS:
                _draw_seeds(axes, panel, line(index)["color"], method)
            _draw_method(axes, panel, line(index), method)
        axes.set(xlabel=panel.clock.label, title=panel.title, ylabel=comparison.measure.label)
        if comparison.measure.limits:
            axes.set_ylim(-0.03, 1.03)
        label_clock(axes)
    add_legend(figure, *table[0].get_legend_handles_labels())


def _draw_seeds(axes: Axes, panel: Panel, color: str, method: ComparedMethod) -> None:
    for run in method.runs:
        x, y = _of_run(run.rollouts, panel)
        kept = np.linspace(0, max(0, len(x) - 1), min(len(x), ROLLOUT_POINTS)).astype(int)
        axes.plot(x[kept], y[kept], color=color, linewidth=0.6, alpha=0.3)
        x, y = _of_run(run.evaluations, panel)
        axes.plot(x, y, "o-", color=color, linewidth=0.7, alpha=0.6, markersize=2.5)


def _draw_method(axes: Axes, panel: Panel, style: dict[str, Any], method: ComparedMethod) -> None:
    curves = [run.evaluations for run in method.runs]
    draw_estimate(axes, *interval(curves, panel.clock, panel.statistic), style, method.label)


def _of_run(curve: Curve, panel: Panel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a clock and a statistic of the tasks that are known."""
    scores = curve.scores if panel.statistic is mean else np.sort(curve.scores, axis=1)[:, :5]  # nan is last
    return getattr(curve, panel.clock.name), np.nanmean(scores, axis=1)


def interval(
    curves: Sequence[Curve], clock: Clock, statistic: Statistic
) -> tuple[NDArray[np.float64], Estimate]:
    """Compute moments f64[N] and a statistic f64[N] with its 95 % interval over the seeds, nan for one seed."""
    if not all(len(curve.scores) for curve in curves):
        nothing = np.empty(0)
        return nothing, Estimate(nothing, nothing, nothing)
    moments, scores = at_common_moments(curves, clock, MOMENTS)
    return moments, stratified_bootstrap(scores, statistic)


def draw_estimate(
    axes: Axes, moments: NDArray[np.float64], estimate: Estimate, style: dict[str, Any], label: str
) -> None:
    """Draw a method's line, with dots so that one evaluation is seen, and the band of its interval if it has one."""
    axes.plot(moments, estimate.value, marker=".", markersize=5, linewidth=2, label=label, **style)
    if np.isfinite(estimate.low).any():
        axes.fill_between(moments, estimate.low, estimate.high, color=style["color"], alpha=0.15, linewidth=0)


def at_common_moments(curves: Sequence[Curve], clock: Clock, most: int) -> tuple[NDArray[np.float64], Scores]:
    """Return moments f64[N], `most` of them at most, and the scores f64[N, S, T] of S seeds at each.

    Seeds are evaluated at moments of their own, so each is interpolated between its evaluations; the moments are of
    the time that all of them cover.
    """
    clocks = [getattr(curve, clock.name) for curve in curves]
    first, last = max(c[0] for c in clocks), min(c[-1] for c in clocks)
    moments = np.unique(np.clip(np.concatenate(clocks), first, last)).astype(np.float64)
    moments = moments[np.linspace(0, len(moments) - 1, min(most, len(moments))).round().astype(int)]
    of_runs = [
        np.stack([np.interp(moments, own, column) for column in curve.scores.T], axis=1)
        for own, curve in zip(clocks, curves, strict=True)
    ]
    return moments, np.stack(of_runs, axis=1)
