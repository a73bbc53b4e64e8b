"""A finished run as a report sees it: its method, seed, final evaluation and learning curve."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.evaluation_result import EvaluationResult
from stars_dist.config.merge import leaves
from stars_dist.monitor.metrics import read_metrics
from stars_dist.run_files.directory import RunDirectory

_NOT_OF_THE_METHOD = ("seed", "evaluation.", "checkpoint.")


class Curve(NamedTuple):
    """Success of T tasks at N moments, against both clocks."""

    env_steps: NDArray[np.int64]  # i64[N]
    minutes: NDArray[np.float64]  # f64[N], wall clock of the training
    success: NDArray[np.float64]  # f64[N, T]; nan where a task has no episode yet

    @property
    def mean_success(self) -> NDArray[np.float64]:
        """f64[N], over the tasks that are known."""
        return np.nanmean(self.success, axis=1)

    @property
    def worst_success(self) -> NDArray[np.float64]:
        """f64[N], of the tasks that are known."""
        return np.nanmin(self.success, axis=1)


class FinishedRun(NamedTuple):
    """What a report shows and compares of one run."""

    path: Path
    presets: str
    settings: dict[str, Any]  # every value of the resolved configuration by its dotted key
    changes: frozenset[str]  # keys that --set gave
    seed: int
    command: str  # of the launch, and of the resumes after it
    commit: str | None
    versions: dict[str, str]
    minutes: float  # wall clock from the first transition to the last metric
    evaluation: EvaluationResult  # the one at the end
    evaluations: Curve  # all of them, the last included
    rollouts: Curve  # the newest training episodes, whose actions are noisy

    def to_json(self, method: str) -> dict[str, Any]:
        """Return the raw figures behind a report that calls it a run of `method`."""
        return {
            "method": method,
            "seed": self.seed,
            "command": self.command,
            "commit": self.commit,
            "versions": self.versions,
            "minutes": round(self.minutes, 2),
            "evaluation": self.evaluation.to_json(),
        }


def read_finished_run(path: Path) -> FinishedRun:
    """Read a run that has its final evaluation; ValueError for any other directory."""
    run = RunDirectory.existing(path)
    if not run.evaluation_file.is_file():
        raise ValueError(
            f"a report needs finished runs, {path} has no evaluation.json; go on with: {run.resume_command}"
        )
    if not run.has_finished(run.read_plan()):
        raise ValueError(
            f"a report needs finished runs, {path} was given more steps since its evaluation.json; "
            f"go on with: {run.resume_command}"
        )
    record = run.read_provenance()
    lines = list(read_metrics(run.metrics_file))
    settings = {".".join(key): value for key, value in leaves(run.read_config().model_dump())}
    changes = {
        origin.removeprefix("--set ") for origin in record["origins"].values() if origin.startswith("--set ")
    }
    evaluation = EvaluationResult.from_json(json.loads(run.evaluation_file.read_text()))
    tasks = [task.name for task in evaluation.tasks]
    return FinishedRun(
        path,
        record["presets"],
        settings,
        frozenset(changes),
        record["seed"],
        " && ".join([record["command"], *(resume["command"] for resume in record["resumes"])]),
        record["commit"],
        record["versions"],
        max((line["wall_time_s"] for line in lines), default=0.0) / 60,
        evaluation,
        read_curve(lines, "eval/success/", tasks),
        read_curve(lines, "rollout/success/", tasks),
    )


def read_finished_runs(paths: Sequence[Path]) -> list[FinishedRun]:
    """Read runs that can be compared.

    Raises:
        ValueError: one is not finished, they are of several suites, or two are the same seed of one method.
    """
    finished = [read_finished_run(path) for path in paths]
    suites = sorted({run.evaluation.suite for run in finished})
    if len(suites) > 1:
        raise ValueError(f"a report must compare runs of one suite, got {' and '.join(suites)}; write two")
    for method, runs in group_by_method(finished).items():
        _check_seeds_differ(method, runs)
    return finished


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
    return [
        f"{key}={run.settings[key]}" for key in sorted(distinct) if not key.startswith(_NOT_OF_THE_METHOD)
    ]


def _varies(key: str, runs: Sequence[FinishedRun]) -> bool:
    return any(run.settings[key] != runs[0].settings[key] for run in runs)


def read_curve(lines: Sequence[Mapping[str, float]], prefix: str, tasks: Sequence[str]) -> Curve:
    """Collect the moments at which the metrics of that prefix tell of a task's success."""
    names = [f"{prefix}{task}" for task in tasks]
    known = [line for line in lines if any(name in line for name in names)]
    success = [[line.get(name, np.nan) for name in names] for line in known]
    return Curve(
        np.array([line["env_steps"] for line in known], np.int64),
        np.array([line["wall_time_s"] / 60 for line in known]),
        np.array(success).reshape(len(known), len(names)),
    )
