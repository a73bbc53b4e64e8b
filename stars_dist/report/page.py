"""A report as Markdown: the methods side by side, every task of every seed, and the command of each run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from replay_service.atomic_file import write_text
from stars_dist.report.curves import draw_curves
from stars_dist.report.finished_run import FinishedRun, common_changes, group_by_method
from stars_dist.report.statistics import (
    Estimate,
    Scores,
    interquartile_mean,
    mean,
    std_across_tasks,
    stratified_bootstrap,
    welch_p_value,
    worst_task,
)

Methods = Mapping[str, Sequence[FinishedRun]]


def write_report(out: Path, title: str, runs: Sequence[FinishedRun], command: str) -> tuple[Path, Path, Path]:
    """Write a page, its picture and its raw figures side by side; return their paths."""
    methods = group_by_method(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    picture, raw = out.with_suffix(".png"), out.with_suffix(".json")
    draw_curves(picture, methods)
    figures = [run.to_json(method) for method, seeds in methods.items() for run in seeds]
    write_text(raw, json.dumps(figures, indent=1) + "\n")
    write_text(out, report_page(title, methods, picture.name, command))
    return out, picture, raw


def report_page(title: str, methods: Methods, picture: str, command: str) -> str:
    """Format the whole page; the first method is the one that the others are compared with."""
    lines = [f"# {title}", "", f"Written by `{command}`.", "", *_setting(methods), ""]
    lines += [*_summary(methods), "", f"![learning curves, one line per seed]({picture})", ""]
    lines += [*_tasks(methods), "", *_runs(methods)]
    return "\n".join(lines) + "\n"


def scores(runs: Sequence[FinishedRun]) -> Scores:
    """Gather final success rates, f64[S, T]."""
    return np.array([[task.success_rate for task in run.evaluation.tasks] for run in runs])


def _setting(methods: Methods) -> list[str]:
    runs = [run for group in methods.values() for run in group]
    run, changes = runs[0], ", ".join(f"`{change}`" for change in common_changes(runs))
    versions = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return [
        f"Suite `{run.evaluation.suite}`; final evaluation of {run.evaluation.episodes_per_task} episodes per task, "
        f"mode action, success at any step. {_evidence(methods)}"
        f"{f'Set in all runs: {changes}. ' if changes else ''}{versions}."
    ]


def _evidence(methods: Methods) -> str:
    """Say how intervals and p come about, where there are any: both are over seeds, of which one has no spread."""
    several = [runs for runs in methods.values() if len(runs) > 1]
    if not several:
        return "One seed of each method: no intervals and no test, and differences may be chance. "
    text = "Intervals: 95 %, stratified bootstrap over the seeds of each task, where a method has several. "
    return text + "p: Welch's test on the seeds' means against the first row. " * _has_p_values(methods)


def _has_p_values(methods: Methods) -> bool:
    return not all(map(math.isnan, _p_values(methods)))


def _p_values(methods: Methods) -> list[float]:
    """Compare each method with the first; nan for itself, and where one of the two has one seed."""
    first, *others = map(scores, methods.values())
    return [math.nan, *(welch_p_value(first, other) for other in others)]


def _summary(methods: Methods) -> Iterator[str]:
    has_p = _has_p_values(methods)
    columns = "method", "seeds", "mean", "IQM", "worst task", "std across tasks", *["p"] * has_p, "minutes"
    yield _row(columns)
    yield _row(["---"] * len(columns))
    for (method, runs), p_value in zip(methods.items(), _p_values(methods), strict=True):
        table = scores(runs)
        estimates = [
            _interval(stratified_bootstrap(table, s)) for s in (mean, interquartile_mean, worst_task)
        ]
        p_cell = ["" if math.isnan(p_value) else f"{p_value:.2f}"] * has_p
        minutes = ", ".join(f"{run.minutes:.1f}" for run in runs)
        yield _row([method, str(len(runs)), *estimates, f"{std_across_tasks(table):.2f}", *p_cell, minutes])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _tasks(methods: Methods) -> Iterator[str]:
    names = next(iter(methods.values()))[0].evaluation.tasks
    yield f"| method | seed | {' | '.join(task.name for task in names)} |"
    yield "| --- " * (len(names) + 2) + "|"
    for method, runs in methods.items():
        for run in runs:
            rates = " | ".join(f"{task.success_rate:.2f}" for task in run.evaluation.tasks)
            yield f"| {method} | {run.seed} | {rates} |"


def _runs(methods: Methods) -> Iterator[str]:
    yield "| method | seed | commit | command |"
    yield "| --- | --- | --- | --- |"
    for method, runs in methods.items():
        for run in runs:
            yield f"| {method} | {run.seed} | {(run.commit or 'unknown')[:12]} | `{run.command}` |"


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"
