"""A comparison of methods: every figure of a report, computed once for all the forms in which it is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from stars_dist.report.finished_run import RETURN, STEPS, SUCCESS, Clock, FinishedRun, Measure
from stars_dist.report.methods import Methods
from stars_dist.report.statistics import (
    Estimate,
    Scores,
    Statistic,
    interquartile_mean,
    mean,
    performance_profile,
    probability_of_improvement,
    std_across_tasks,
    stratified_bootstrap,
    tasks_at_zero,
    welch_p_value,
    worst_five,
    worst_task,
)

FEW_SEEDS = 5
ALIKE = 1.1  # times as long, up to which runs count as equally long
LEVELS = 101  # of a performance profile


class Summary(NamedTuple):
    """A statistic that a report shows."""

    key: str  # in JSON
    label: str
    statistic: Statistic
    is_success: bool = False  # only success rates have it


SUMMARIES = (
    Summary("mean", "mean", mean),
    Summary("iqm", "IQM", interquartile_mean),
    Summary("worst_5", "worst five", worst_five),
    Summary("worst_task", "worst task", worst_task),
    Summary("std_across_tasks", "std across tasks", std_across_tasks),
    Summary("tasks_at_zero", "tasks at zero", tasks_at_zero, is_success=True),
)


class ComparedMethod(NamedTuple):
    """One method: its seeds and what they amount to."""

    name: str
    runs: tuple[FinishedRun, ...]
    scores: Scores  # f64[S, T], of the final evaluations
    estimates: dict[str, Estimate]  # by the key of the summary
    profile: Estimate  # f64[LEVELS]
    improvement: Estimate | None  # over the baseline; None for the baseline itself
    p_value: float  # of Welch's test against the baseline; nan without one

    @property
    def label(self) -> str:
        """The name with the number of seeds."""
        return f"{self.name} ({len(self.runs)} {'seed' if len(self.runs) == 1 else 'seeds'})"

    def to_json(self) -> dict[str, Any]:
        """Return plain data with the keys that `stars-dist report --json` prints."""
        data = {
            "method": self.name,
            "seeds": [run.seed for run in self.runs],
            "env_steps": [run.budget for run in self.runs],
            "minutes": [round(run.minutes, 2) for run in self.runs],
            "core_minutes": [
                None if math.isnan(run.core_minutes) else round(run.core_minutes, 2) for run in self.runs
            ],
            "probability_of_improvement": self.improvement and _estimate_json(self.improvement),
            "welch_p": None if math.isnan(self.p_value) else self.p_value,
        }
        return data | {key: _estimate_json(estimate) for key, estimate in self.estimates.items()}


class Comparison(NamedTuple):
    """Methods on one suite, at one budget if they are compared by steps; the first is the baseline."""

    measure: Measure
    clock: Clock
    tasks: tuple[str, ...]
    levels: Scores  # f64[LEVELS], of the profiles
    methods: tuple[ComparedMethod, ...]

    @property
    def runs(self) -> list[FinishedRun]:
        """The runs of all methods."""
        return [run for method in self.methods for run in method.runs]

    @property
    def summaries(self) -> list[Summary]:
        """The statistics that the measure has."""
        return [s for s in SUMMARIES if self.measure is SUCCESS or not s.is_success]

    @property
    def has_one_budget(self) -> bool:
        """Whether all runs took as many environment steps."""
        return len({run.budget for run in self.runs}) == 1

    @property
    def has_intervals(self) -> bool:
        """Whether any method has several seeds."""
        return any(len(method.runs) > 1 for method in self.methods)

    @property
    def has_p_values(self) -> bool:
        """Whether Welch's test could be made."""
        return not all(math.isnan(method.p_value) for method in self.methods)

    @property
    def notes(self) -> list[str]:
        """What a reader must know before they believe the figures."""
        return list(filter(None, [self._seeds_note, self._test_note, self._time_note]))

    @property
    def _seeds_note(self) -> str:
        fewest = min(len(method.runs) for method in self.methods)
        if not self.has_intervals:
            return "One seed of each method: no intervals and no test, and differences may be chance."
        if fewest >= FEW_SEEDS:
            return ""
        what = "one seed" if fewest == 1 else f"{fewest} seeds"
        return (
            f"Few seeds: a method has {what}. An interval from fewer than {FEW_SEEDS} seeds is too narrow, and "
            "a difference that is not seen may be there; add seeds before you conclude."
        )

    @property
    def _test_note(self) -> str:
        tests = sum(not math.isnan(method.p_value) for method in self.methods)
        if tests < 2:
            return ""
        return f"{tests} methods are tested against one baseline; p is not corrected for that number."

    @property
    def _time_note(self) -> str:
        least, most = min(run.minutes for run in self.runs), max(run.minutes for run in self.runs)
        if self.clock is STEPS or most <= ALIKE * least:
            return ""
        return f"The runs took {least:.1f} to {most:.1f} minutes: the longer ones had more time to learn."


def compare(methods: Methods, clock: Clock = STEPS) -> Comparison:
    """Compute everything that a report shows of the methods, the first of which is the baseline."""
    first = next(iter(methods.values()))[0].evaluation
    measure = SUCCESS if first.has_success_flag else RETURN
    tables = {name: final_scores(runs, measure) for name, runs in methods.items()}
    levels = _levels(list(tables.values()), measure)
    baseline = next(iter(tables.values()))
    compared = []
    for name, runs in methods.items():
        table, is_baseline = tables[name], not compared
        compared.append(
            ComparedMethod(
                name,
                tuple(runs),
                table,
                {s.key: stratified_bootstrap(table, s.statistic) for s in SUMMARIES},
                performance_profile(table, levels),
                None if is_baseline else probability_of_improvement(table, baseline),
                math.nan if is_baseline else welch_p_value(table, baseline),
            )
        )
    return Comparison(measure, clock, tuple(task.name for task in first.tasks), levels, tuple(compared))


def final_scores(runs: Sequence[FinishedRun], measure: Measure) -> Scores:
    """Gather what each task achieved in the final evaluations, f64[S, T]."""
    return np.array([[measure.of(task) for task in run.evaluation.tasks] for run in runs])


def _levels(tables: Sequence[Scores], measure: Measure) -> Scores:
    low, high = measure.limits or (min(t.min() for t in tables), max(t.max() for t in tables))
    return np.linspace(low, high, LEVELS)


def _estimate_json(estimate: Estimate) -> dict[str, Any]:
    value, low, high = (float(end) for end in estimate)
    return {"value": value, "ci95": None if math.isnan(low) else [low, high]}
