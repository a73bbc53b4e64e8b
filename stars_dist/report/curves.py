"""Learning curves as a picture: evaluations of every seed with their interval, rollouts faint behind them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_dist.report.finished_run import Curve, FinishedRun
from stars_dist.report.statistics import Scores, mean, stratified_bootstrap, worst_task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEGEND_CHARACTERS = 170  # that fit beside each other under the panels
MOMENTS = 60  # at most, at which an interval is computed
CAPTION = (
    "dots: evaluations (the policy's mode, all goals), one line per seed; band: 95 % over the seeds, where a method "
    "has several; faint: rollouts (training episodes with noisy actions)"
)


class Panel(NamedTuple):
    """What is drawn against which clock."""

    value: str  # a property of Curve
    statistic: Callable[[Scores], float]  # the same over seeds
    clock: str  # a field of Curve
    x_label: str
    y_label: str


PANELS = (
    Panel("mean_success", mean, "env_steps", "environment steps, all tasks", "success, mean of the tasks"),
    Panel("mean_success", mean, "minutes", "minutes of wall clock", "success, mean of the tasks"),
    Panel("worst_success", worst_task, "minutes", "minutes of wall clock", "success, worst task"),
)


def draw_curves(path: Path, methods: Mapping[str, Sequence[FinishedRun]]) -> None:
    """Write a PNG with one line per seed and one colour per method."""
    curves_figure(methods).savefig(path, dpi=110)


def curves_figure(methods: Mapping[str, Sequence[FinishedRun]]) -> Figure:
    """Draw the picture that `draw_curves` writes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.5), layout="constrained")
    for axes, panel in zip(figure.subplots(1, 3), PANELS, strict=True):
        for colour, (method, runs) in enumerate(methods.items()):
            _draw_method(axes, panel, f"C{colour}", method, runs)
        axes.set(xlabel=panel.x_label, ylabel=panel.y_label, ylim=(-0.03, 1.03))
        axes.grid(alpha=0.3)
    _add_legend(figure)
    figure.suptitle(CAPTION, fontsize=8)
    return figure


def _draw_method(axes: Axes, panel: Panel, color: str, method: str, runs: Sequence[FinishedRun]) -> None:
    label = f"{method} ({len(runs)} {'seed' if len(runs) == 1 else 'seeds'})"
    for index, run in enumerate(runs):
        x, y = getattr(run.rollouts, panel.clock), getattr(run.rollouts, panel.value)
        axes.plot(x, y, color=color, linewidth=0.7, alpha=0.25)
        x, y = getattr(run.evaluations, panel.clock), getattr(run.evaluations, panel.value)
        axes.plot(x, y, "o-", color=color, linewidth=1, markersize=3, label=label if index == 0 else None)
    moments, low, high = interval([run.evaluations for run in runs], panel.clock, panel.statistic)
    if len(moments):
        axes.fill_between(moments, low, high, color=color, alpha=0.15, linewidth=0)


def interval(
    curves: Sequence[Curve], clock: str, statistic: Callable[[Scores], float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Compute moments, lower and upper ends of a statistic's 95 % interval over the seeds; empty for one seed.

    Seeds are evaluated at moments of their own, so each is interpolated between its evaluations; the interval is
    of the time that all of them cover.
    """
    clocks = [getattr(curve, clock) for curve in curves]
    if len(curves) < 2 or not all(map(len, clocks)):
        return np.empty(0), np.empty(0), np.empty(0)
    first, last = max(c[0] for c in clocks), min(c[-1] for c in clocks)
    moments = np.unique(np.clip(np.concatenate(clocks), first, last)).astype(np.float64)
    moments = moments[np.linspace(0, len(moments) - 1, min(MOMENTS, len(moments))).round().astype(int)]
    success = np.stack([_interpolated(c, curve, moments) for c, curve in zip(clocks, curves, strict=True)])
    estimates = [stratified_bootstrap(success[:, moment], statistic) for moment in range(len(moments))]
    return moments, np.array([e.low for e in estimates]), np.array([e.high for e in estimates])


def _interpolated(
    clock: NDArray[np.float64], curve: Curve, moments: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return f64[N, T] at other moments."""
    return np.stack([np.interp(moments, clock, column) for column in curve.success.T], axis=1)


def _add_legend(figure: Figure) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = LEGEND_CHARACTERS // (max(map(len, labels)) + 8)  # 8: its line and the gap
    figure.legend(
        handles,
        [textwrap.fill(label, LEGEND_CHARACTERS) for label in labels],
        loc="outside lower center",
        ncols=max(1, min(len(labels), 3, columns)),
        frameon=False,
    )
