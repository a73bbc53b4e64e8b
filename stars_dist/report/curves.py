"""Learning curves as a picture: every seed of every method is drawn, against steps and against wall clock."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stars_dist.report.finished_run import FinishedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEGEND_CHARACTERS = 170  # that fit beside each other under the panels
PANELS = (
    ("mean_success", "env_steps", "environment steps, all tasks", "success, mean of the tasks"),
    ("mean_success", "minutes", "minutes of wall clock", "success, mean of the tasks"),
    ("worst_success", "minutes", "minutes of wall clock", "success, worst task"),
)


def draw_curves(path: Path, methods: Mapping[str, Sequence[FinishedRun]]) -> None:
    """Write a PNG with one line per seed and one colour per method."""
    curves_figure(methods).savefig(path, dpi=110)


def curves_figure(methods: Mapping[str, Sequence[FinishedRun]]) -> Figure:
    """Draw the picture that `draw_curves` writes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.5), layout="constrained")
    for axes, (value, clock, x_label, y_label) in zip(figure.subplots(1, 3), PANELS, strict=True):
        for colour, (method, runs) in enumerate(methods.items()):
            for index, run in enumerate(runs):
                label = (
                    f"{method} ({len(runs)} {'seed' if len(runs) == 1 else 'seeds'})" if index == 0 else None
                )
                x, y = getattr(run.curve, clock), getattr(run.curve, value)
                axes.plot(x, y, color=f"C{colour}", linewidth=1, alpha=0.8, label=label)
        axes.set(xlabel=x_label, ylabel=y_label, ylim=(-0.03, 1.03))
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = LEGEND_CHARACTERS // (max(map(len, labels)) + 8)  # 8: its line and the gap
    figure.legend(
        handles,
        [textwrap.fill(label, LEGEND_CHARACTERS) for label in labels],
        loc="outside lower center",
        ncols=max(1, min(len(labels), 3, columns)),
        frameon=False,
    )
    return figure
