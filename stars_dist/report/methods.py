"""Which finished runs can be compared, and which of them are seeds of one method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from actors.near_name import did_you_mean
from stars_dist.report.finished_run import STEPS, Clock, FinishedRun, read_finished_run

_NOT_OF_THE_METHOD = ("seed", "evaluation.", "checkpoint.", "trackers")
_MATCHED = "network.match_parameters"
_FOLLOWS_FROM_MATCHING = {"network.actor_hidden", "network.critic_hidden", "network.unique.hidden"}
Methods = Mapping[str, Sequence[FinishedRun]]
"""The runs of each method by its name; the first one is what the others are compared with."""


def read_finished_runs(paths: Sequence[Path], by: Clock = STEPS) -> list[FinishedRun]:
    """Read runs that can be compared `by` a clock.

    Raises:
        ValueError: one is not finished, they are of several suites, by steps they are of several budgets, or two are
            the same seed of one method.
    """
    finished = [read_finished_run(path) for path in paths]
    suites = sorted({run.evaluation.suite for run in finished})
    if len(suites) > 1:
        raise ValueError(f"a report must compare runs of one suite, got {' and '.join(suites)}; write two")
    if by is STEPS:
        check_one_budget(finished)
    for method, runs in group_by_method(finished).items():
        _check_seeds_differ(method, runs)
    return finished


def check_one_budget(runs: Sequence[FinishedRun]) -> None:
    """Check that no run had more steps to learn from than another."""
    least, most = min(runs, key=lambda run: run.budget), max(runs, key=lambda run: run.budget)
    if least.budget < most.budget:
        raise ValueError(
            f"a report must compare runs of one budget, got {least.budget:,} environment steps ({least.path}) and "
            f"{most.budget:,} ({most.path}); go on with the shorter one: stars-dist resume {least.path} --steps "
            f"{most.budget}, leave one out, or compare what they reach in their time: --by time"
        )


def _check_seeds_differ(method: str, runs: Sequence[FinishedRun]) -> None:
    """Check that no run stands for two: given twice, copied, or made again with its seed, it adds no evidence."""
    first: dict[int, FinishedRun] = {}
    for run in runs:
        same = first.setdefault(run.seed, run)
        if same is not run:
            raise ValueError(
                f"the runs of a method must have different seeds, got seed {run.seed} of {method} twice, in "
                f"{same.path} and {run.path}; leave one out"
            )


def with_baseline(methods: Methods, baseline: str | None) -> Methods:
    """Put the baseline first: a method by its name here or by its presets, or the method of a run by its directory.

    Raises:
        ValueError: no method, or more than one, is meant.
    """
    if baseline is None:
        return methods
    meant = [
        name
        for name, runs in methods.items()
        if baseline in (name, runs[0].presets) or any(run.path == Path(baseline) for run in runs)
    ]
    if baseline in methods:  # another method may have its name for presets
        meant = [baseline]
    if len(meant) != 1:
        known = ", ".join(f"'{name}'" for name in meant or methods)
        near = did_you_mean(baseline, list(methods)) if not meant else ""
        raise ValueError(
            f"--baseline must name one method of the report, got '{baseline}'; use {known}{near}"
        )
    return {meant[0]: methods[meant[0]]} | dict(methods)


def group_by_method(runs: Sequence[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Group the seeds of each method, named by its presets and the settings that tell it from other runs here."""
    methods: dict[str, list[FinishedRun]] = {}
    for run in runs:
        methods.setdefault(" ".join([run.presets, *_distinct_settings(run, runs)]), []).append(run)
    return methods


def common_changes(runs: Sequence[FinishedRun]) -> list[str]:
    """List what --set gave to all of the runs alike, as key=value."""
    keys = frozenset[str].intersection(*(run.changes for run in runs))
    return [f"{key}={runs[0].settings[key]}" for key in sorted(keys) if not _varies(key, runs)]


def _distinct_settings(run: FinishedRun, runs: Sequence[FinishedRun]) -> list[str]:
    same_presets = [other for other in runs if other.presets == run.presets]
    distinct = {key for key in run.settings if _varies(key, same_presets)}
    distinct |= {key for key in run.changes if _varies(key, runs)}
    if _MATCHED in distinct:
        distinct -= _FOLLOWS_FROM_MATCHING.difference(*(other.changes for other in same_presets))
    return [
        f"{key}={run.settings[key]}" for key in sorted(distinct) if not key.startswith(_NOT_OF_THE_METHOD)
    ]


def _varies(key: str, runs: Sequence[FinishedRun]) -> bool:
    return any(run.settings[key] != runs[0].settings[key] for run in runs)
