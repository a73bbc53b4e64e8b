"""The sentences and cells of a report, the same in Markdown and in the HTML page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stars_dist.report.comparison import ComparedMethod, Comparison, Summary
from stars_dist.report.finished_run import SUCCESS, FinishedRun
from stars_dist.report.methods import common_changes
from stars_dist.report.statistics import Estimate

SIGNIFICANT = 0.05


def setting(comparison: Comparison) -> str:
    """Say what was evaluated and how intervals and p come about."""
    runs = comparison.runs
    seen = sorted({run.evaluation.episodes_per_task for run in runs})
    episodes = str(seen[0]) if len(seen) == 1 else f"{seen[0]} to {seen[-1]}"
    success = ", success at any step" if comparison.measure is SUCCESS else ""
    text = (
        f"Suite {runs[0].evaluation.suite}, {len(comparison.tasks)} tasks, {_budget(comparison)} environment steps "
        f"over all tasks. Final evaluations of {episodes} episodes per task, mode action{success}."
    )
    if not comparison.has_one_budget:
        text += " Compared is what each reaches in its time, not in a number of steps."
    if comparison.measure is not SUCCESS:
        text += " No task says what success is: returns are compared."
    if comparison.has_intervals:
        text += (
            " Intervals: 95 %, stratified bootstrap over the seeds of each task, where a method has several."
        )
    if comparison.has_p_values:
        text += f" p: Welch's test on the seeds' means against {comparison.methods[0].name}."
    return text


def _budget(comparison: Comparison) -> str:
    budgets = [run.budget for run in comparison.runs]
    least = f"{min(budgets):,}"
    return least if comparison.has_one_budget else f"{least} to {max(budgets):,}"


def findings(comparison: Comparison) -> list[str]:
    """Say of each method in a sentence what it reaches, and whether it differs from the baseline."""
    return [_finding(comparison, method) for method in comparison.methods]


def _finding(comparison: Comparison, method: ComparedMethod) -> str:
    by_task = method.scores.mean(axis=0)
    worst = int(by_task.argmin())
    text = (
        f"{method.name}: {comparison.measure.label} {estimate_words(method.estimates['mean'])} in the mean of "
        f"the tasks; the worst is {comparison.tasks[worst]} with {number(by_task[worst])}."
    )
    if method.improvement is None:
        return text
    baseline = comparison.methods[0]
    gain = float(method.scores.mean() - baseline.scores.mean())
    text += f" Against {baseline.name}: {'+' if gain >= 0 else ''}{number(gain)}"
    text += f", probability of improvement {estimate_words(method.improvement)}"
    if math.isnan(method.p_value):
        return f"{text}."
    verdict = "they differ" if method.p_value < SIGNIFICANT else "no difference is shown"
    return f"{text}, p = {method.p_value:.2g}: {verdict}."


def summary_header(comparison: Comparison) -> list[str]:
    """Name the columns of the table of methods."""
    several = len(comparison.methods) > 1
    return [
        "method",
        "seeds",
        *([] if comparison.has_one_budget else ["steps"]),
        *(summary.label for summary in comparison.summaries),
        *(["P(better)"] if several else []),
        *(["p"] if comparison.has_p_values else []),
        "minutes",
        *(["core minutes"] if _has_core_minutes(comparison) else []),
    ]


def summary_row(comparison: Comparison, method: ComparedMethod) -> list[str]:
    """Fill the row of a method, under `summary_header`."""
    improvement = "" if method.improvement is None else estimate_words(method.improvement)
    return [
        method.name,
        str(len(method.runs)),
        *([] if comparison.has_one_budget else [f"{method.runs[0].budget:,}"]),
        *(_cell(summary, method.estimates[summary.key]) for summary in comparison.summaries),
        *([improvement] if len(comparison.methods) > 1 else []),
        *(["" if math.isnan(method.p_value) else f"{method.p_value:.2g}"] if comparison.has_p_values else []),
        _minutes([run.minutes for run in method.runs]),
        *([_minutes([run.core_minutes for run in method.runs])] if _has_core_minutes(comparison) else []),
    ]


def _has_core_minutes(comparison: Comparison) -> bool:
    return any(not math.isnan(run.core_minutes) for run in comparison.runs)


def _minutes(of_seeds: Sequence[float]) -> str:
    """Write the mean; nothing where one is unknown."""
    mean = sum(of_seeds) / len(of_seeds)
    return "" if math.isnan(mean) else f"{mean:.1f}"


def _cell(summary: Summary, estimate: Estimate) -> str:
    if summary.is_success:  # a count
        return estimate_words(estimate, digits=1)
    return estimate_words(estimate)


def estimate_words(estimate: Estimate, digits: int = 3) -> str:
    """Write a value with its interval, if it has one."""
    value, low, high = (number(float(end), digits) for end in estimate)
    return value if math.isnan(float(estimate.low)) else f"{value} ({low} to {high})"


def number(value: float, digits: int = 3) -> str:
    """Write a success rate with its digits, and a return, which is large, without."""
    return f"{value:.{digits}f}" if abs(value) < 10 else f"{value:,.0f}"


def shared_settings(runs: Sequence[FinishedRun]) -> str:
    """Name what --set gave to all runs alike, and the versions; empty where nothing is known."""
    changes = ", ".join(common_changes(runs))
    versions = ", ".join(f"{name} {version}" for name, version in runs[0].versions.items())
    return " ".join(
        filter(None, [f"Set in all runs: {changes}." if changes else "", f"{versions}." if versions else ""])
    )
