"""Pictures of a run as pixels: heat maps of tasks over time, and features in two dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = NDArray[np.uint8]  # u8[H, W, 3]
# TensorBoard shows a picture 330 pixels wide until it is clicked: letters must be large beside it.
WIDTH, DPI = 4.6, 180
MOST_NAMED = 60  # tasks; a picture of a thousand names takes seconds, in which the run is not supervised


class Scale(NamedTuple):
    """A fixed scale: pictures of different moments and runs can be compared."""

    low: float
    high: float
    colours: str
    label: str


SUCCESS_SCALE = Scale(0.0, 1.0, "viridis", "success in rollouts, newest episodes")
QUOTA_SCALE = Scale(0.0, 2.0, "coolwarm", "share of a batch (1: even)")


def heat_map(
    values: NDArray[np.float64], task_names: Sequence[str], total_steps: int, scale: Scale
) -> Pixels:
    """Draw f64[T, N], a row for each task and a column for each part of the run; what is not known stays white."""
    from matplotlib.figure import Figure

    many, named = len(task_names) > 12, len(task_names) <= MOST_NAMED
    height = 1.0 + (0.14 if many else 0.26) * min(len(task_names), MOST_NAMED)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(
        carried_on(values),
        aspect="auto",
        interpolation="nearest" if named else "auto",
        extent=(0.0, float(total_steps), len(task_names) - 0.5, -0.5),
        vmin=scale.low,
        vmax=scale.high,
        cmap=scale.colours,
    )
    if named:
        axes.set_yticks(range(len(task_names)), [name.removesuffix("-v3") for name in task_names])
    else:
        axes.set_ylabel("task", fontsize=8)
    axes.tick_params(labelsize=6 if many else 8)
    _mark_steps(axes)
    axes.set_title(scale.label, fontsize=8)
    axes.set_xlabel("environment steps", fontsize=8)
    figure.colorbar(image, pad=0.02, fraction=0.05, aspect=25).ax.tick_params(labelsize=7)
    return _pixels(figure)


def carried_on(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fill f64[T, N] between what is known with the value before: up to the newest moment that any task has."""
    known = np.isfinite(values)
    if not known.any():
        return values
    newest = int(np.flatnonzero(known.any(axis=0))[-1])
    columns = np.where(known, np.arange(values.shape[1]), 0)
    filled = np.take_along_axis(values, np.maximum.accumulate(columns, axis=1), axis=1)
    filled[:, newest + 1 :] = np.nan
    return filled


def feature_picture(
    branches: Sequence[tuple[str, NDArray[np.float64]]], task_id: NDArray[np.int64], task_names: Sequence[str]
) -> Pixels:
    """Draw the projections f64[N, 2] of each branch's features side by side, a colour for each task."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    named = task_names if len(task_names) <= MOST_NAMED else ()
    legend_rows = -(-len(named) // 3)
    size = WIDTH / 2
    figure = Figure(figsize=(WIDTH, size + 0.2 + 0.14 * legend_rows), dpi=DPI, layout="constrained")
    colours = _task_colours(len(task_names))
    for axes, (branch, points) in zip(
        np.atleast_1d(figure.subplots(1, len(branches))), branches, strict=True
    ):
        axes.scatter(points[:, 0], points[:, 1], s=7, color=colours[task_id], linewidths=0)
        axes.set(xticks=[], yticks=[])
        axes.set_title(f"{branch} features", fontsize=9)
    handles = [
        Line2D([], [], color=tuple(colours[task]), marker="o", markersize=3.5, linestyle="", label=name)
        for task, name in enumerate(named)
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=6)
    return _pixels(figure)


def _task_colours(num_tasks: int) -> NDArray[np.float64]:
    """Return f64[T, 4], a colour for each task: few that differ most, or a rainbow."""
    from matplotlib import colormaps

    if num_tasks <= 10:
        return colormaps["tab10"](np.arange(num_tasks))
    return colormaps["turbo"](np.linspace(0.0, 1.0, num_tasks))


def _mark_steps(axes: Axes) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _pixels(figure: Figure) -> Pixels:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
