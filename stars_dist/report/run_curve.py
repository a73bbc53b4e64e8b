"""The learning curve of one run as a picture: each task's success in rollouts and in evaluations, and their mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.atomic_file import atomic_file
from stars_dist.config.count_words import counted
from stars_dist.monitor.metrics import read_metrics
from stars_dist.run_files.directory import RunDirectory

SUCCESS = "rollout/success/", "eval/success/"
RETURN = "rollout/return/", "eval/return/"  # where no task has a success flag
MOST_NAMED = 20  # tasks that have room beside the picture


class Series(NamedTuple):
    """Success rates or returns of all tasks at N moments; nan where a task has no episode yet."""

    minutes: NDArray[np.float64]  # f64[N], wall clock since the start of training
    values: dict[str, NDArray[np.float64]]  # task -> f64[N]


def draw_run_curve(run: RunDirectory) -> Path:
    """Draw `curves.png` into the run directory from its metrics; return its path."""
    from matplotlib.figure import Figure

    lines = list(read_metrics(run.metrics_file))
    has_success = any(name.startswith(SUCCESS) for line in lines for name in line)
    rollouts, evaluations = (read_series(lines, name) for name in (SUCCESS if has_success else RETURN))
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    tasks = rollouts.values | evaluations.values
    named = len(tasks) <= MOST_NAMED
    for colour, task in enumerate(tasks):
        color = f"C{colour % 10}"
        if task in rollouts.values:
            axes.plot(rollouts.minutes, rollouts.values[task], color=color, linewidth=0.8, alpha=0.4)
        if task in evaluations.values:
            style: dict[str, Any] = {"label": task} if named else {"ms": 2, "linewidth": 0.6, "alpha": 0.6}
            axes.plot(evaluations.minutes, evaluations.values[task], "o-", color=color, **style)
    if evaluations.values:
        mean = np.mean(list(evaluations.values.values()), axis=0)
        label = f"mean of {counted(len(evaluations.values), 'task')}"
        axes.plot(evaluations.minutes, mean, "ko-", ms=4, linewidth=2, label=label)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
    axes.set(xlabel="minutes of wall clock", ylabel="success rate" if has_success else "return")
    if has_success:
        axes.set_ylim(-0.03, 1.03)
    axes.set_title("evaluations (dots, mode action) over rollouts (faint, newest episodes)", fontsize=9)
    axes.grid(alpha=0.3)
    with atomic_file(run.curve_file) as file:
        figure.savefig(file, dpi=120, format="png")
    return run.curve_file


def read_series(lines: Iterable[Mapping[str, float]], prefix: str) -> Series:
    """Collect the metrics whose names begin with a prefix, by what follows it."""
    moments = []
    for line in lines:
        if found := {name.removeprefix(prefix): v for name, v in line.items() if name.startswith(prefix)}:
            moments.append((line["wall_time_s"] / 60, found))
    tasks = dict.fromkeys(task for _, found in moments for task in found)
    values = {task: np.array([found.get(task, np.nan) for _, found in moments]) for task in tasks}
    return Series(np.array([minutes for minutes, _ in moments]), values)
