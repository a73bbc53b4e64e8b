"""Pictures of a run as pixels: heat maps of tasks over time, and features in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Pixels = NDArray[np.uint8]  # u8[H, W, 3]
DPI = 90


class Scale(NamedTuple):
    """A fixed scale: pictures of different moments and runs can be compared."""

    low: float
    high: float
    colours: str
    label: str


SUCCESS_SCALE = Scale(0.0, 1.0, "viridis", "success of the newest training episodes")
QUOTA_SCALE = Scale(0.0, 2.0, "coolwarm", "share of a batch, times the number of tasks")


def heat_map(
    values: NDArray[np.float64], task_names: Sequence[str], total_steps: int, scale: Scale
) -> Pixels:
    """Draw f64[T, N], a row for each task and a column for each part of the run; what is not known stays white."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.6 + 0.19 * len(task_names)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    extent = (0.0, float(total_steps), len(task_names) - 0.5, -0.5)
    image = axes.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        extent=extent,
        vmin=scale.low,
        vmax=scale.high,
        cmap=scale.colours,
    )
    axes.set_yticks(range(len(task_names)), task_names, fontsize=8)
    axes.set_xlabel("environment steps, all tasks")
    figure.colorbar(image, label=scale.label, pad=0.01)
    return _pixels(figure)


def feature_picture(
    branches: Sequence[tuple[str, NDArray[np.float64]]], task_id: NDArray[np.int64], task_names: Sequence[str]
) -> Pixels:
    """Draw the projections f64[N, 2] of each branch's features side by side, a colour for each task."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    legend_rows = -(-len(task_names) // 5)
    figure = Figure(figsize=(5 * len(branches), 4.4 + 0.2 * legend_rows), dpi=DPI, layout="constrained")
    few = len(task_names) <= 10
    colours = colormaps["tab10" if few else "turbo"]
    for axes, (branch, points) in zip(
        np.atleast_1d(figure.subplots(1, len(branches))), branches, strict=True
    ):
        for task, name in enumerate(task_names):
            chosen = points[task_id == task]
            colour = colours(task if few else task / (len(task_names) - 1))
            axes.scatter(chosen[:, 0], chosen[:, 1], s=9, color=colour, label=name, linewidths=0)
        axes.set(xticks=[], yticks=[], title=f"{branch} features")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=7)
    return _pixels(figure)


def _pixels(figure: Figure) -> Pixels:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
