"""A finished run as a report sees it: its method, seed, final evaluation and learning curve."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    """Training success against both clocks: over the newest episodes of each task, mean and worst task. N points."""

    env_steps: NDArray[np.int64]  # i64[N]
    minutes: NDArray[np.float64]  # f64[N], wall clock of the training
    mean_success: NDArray[np.float64]  # f64[N]
    worst_success: NDArray[np.float64]  # f64[N]


class FinishedRun(NamedTuple):
    """What a report shows and compares of one run."""

    presets: str
    settings: dict[str, Any]  # every value of the resolved configuration by its dotted key
    changes: frozenset[str]  # keys that --set gave
    seed: int
    command: str  # of the launch, and of the resumes after it
    commit: str | None
    versions: dict[str, str]
    minutes: float  # wall clock from the first transition to the last metric
    evaluation: EvaluationResult
    curve: Curve

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
    return FinishedRun(
        record["presets"],
        settings,
        frozenset(changes),
        record["seed"],
        " && ".join([record["command"], *(resume["command"] for resume in record["resumes"])]),
        record["commit"],
        record["versions"],
        max((line["wall_time_s"] for line in lines), default=0.0) / 60,
        EvaluationResult.from_json(json.loads(run.evaluation_file.read_text())),
        _curve(lines),
    )


def read_finished_runs(paths: Sequence[Path]) -> list[FinishedRun]:
    """Read runs that can be compared; ValueError where one is not finished or they are of several suites."""
    finished = [read_finished_run(path) for path in paths]
    suites = sorted({run.evaluation.suite for run in finished})
    if len(suites) > 1:
        raise ValueError(f"a report must compare runs of one suite, got {' and '.join(suites)}; write two")
    return finished


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


def _curve(lines: list[dict[str, float]]) -> Curve:
    prefix = "rollout/success/"
    points = []
    for line in lines:
        rates = [value for name, value in line.items() if name.startswith(prefix)]
        if rates:
            minutes = line["wall_time_s"] / 60
            points.append((line["env_steps"], minutes, float(np.mean(rates)), min(rates)))
    steps, minutes, means, worsts = zip(*points, strict=True) if points else ((), (), (), ())
    return Curve(np.array(steps, np.int64), np.array(minutes), np.array(means), np.array(worsts))
