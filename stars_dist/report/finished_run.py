"""A finished run as a report sees it: its method, seed, final evaluation and learning curve."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.evaluation_result import EvaluationResult, TaskEvaluation
from stars_dist.config.merge import leaves
from stars_dist.monitor.metrics import read_metrics
from stars_dist.run_files.directory import RunDirectory


class Measure(NamedTuple):
    """What tasks are compared by."""

    name: str  # in metrics, as in eval/<name>/<task>
    label: str
    limits: tuple[float, float] | None  # of its axis

    def of(self, task: TaskEvaluation) -> float:
        """Return what a task achieved in an evaluation."""
        return task.success_rate if self is SUCCESS else task.mean_return


SUCCESS = Measure("success", "success rate", (0.0, 1.0))
RETURN = Measure("return", "return", None)  # where no task says what success is


class Clock(NamedTuple):
    """What runs are compared by, and what their progress is drawn against."""

    name: str  # a field of Curve
    label: str  # of its axis


STEPS = Clock("env_steps", "environment steps, all tasks")
TIME = Clock("minutes", "minutes of wall clock")


class Curve(NamedTuple):
    """Scores of T tasks at N moments, against both clocks."""

    env_steps: NDArray[np.int64]  # i64[N]
    minutes: NDArray[np.float64]  # f64[N], wall clock of the training
    scores: NDArray[np.float64]  # f64[N, T]; nan where a task has no episode yet


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
    budget: int  # environment steps over all tasks
    minutes: float  # wall clock from the first transition to the last metric
    core_minutes: float  # of processors, but for the final evaluation; nan where the metrics do not tell
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
            "core_minutes": None if math.isnan(self.core_minutes) else round(self.core_minutes, 2),
            "evaluation": self.evaluation.to_json(),
        }


def read_finished_run(path: Path) -> FinishedRun:
    """Read a run that has its final evaluation; ValueError for any other directory."""
    run = RunDirectory.existing(path)
    plan = run.read_plan()
    if not run.has_finished(plan):
        raise ValueError(f"a report needs finished runs, {path} {_what_is_left(run)}")
    record = run.read_provenance()
    lines = list(read_metrics(run.metrics_file))
    evaluation = EvaluationResult.from_json(json.loads(run.evaluation_file.read_text()))
    measure = SUCCESS if evaluation.has_success_flag else RETURN
    tasks = [task.name for task in evaluation.tasks]
    return FinishedRun(
        path,
        record["presets"],
        {".".join(key): value for key, value in leaves(plan.config.model_dump())},
        frozenset(_keys_of_set(record["origins"])),
        record["seed"],
        " && ".join([record["command"], *(resume["command"] for resume in record["resumes"])]),
        record["commit"],
        record["versions"],
        plan.total_steps,
        max((line["wall_time_s"] for line in lines), default=0.0) / 60,
        core_minutes(lines),
        evaluation,
        read_curve(lines, f"eval/{measure.name}/", tasks),
        read_curve(lines, f"rollout/{measure.name}/", tasks),
    )


def _what_is_left(run: RunDirectory) -> str:
    if run.is_locked:
        return f"is still training; look at it with: stars-dist status {run.argument}"
    what = (
        "has an evaluation.json that is not of its end"
        if run.evaluation_file.is_file()
        else "has no evaluation.json"
    )
    return f"{what}; go on with: {run.resume_command}"


def _keys_of_set(origins: Mapping[str, str]) -> list[str]:
    return [origin.removeprefix("--set ") for origin in origins.values() if origin.startswith("--set ")]


def core_minutes(lines: Sequence[Mapping[str, float]]) -> float:
    """Sum up the processor time that the lines of the clock tell of; nan if one of them does not."""
    periodic = [line for line in lines if "perf/env_steps_per_s" in line]
    ends_s = np.array([0.0, *(line["wall_time_s"] for line in periodic)])
    cores = np.array([line.get("perf/busy_cores", np.nan) for line in periodic])
    return float(cores @ np.diff(ends_s)) / 60 if periodic else math.nan


def read_curve(lines: Sequence[Mapping[str, float]], prefix: str, tasks: Sequence[str]) -> Curve:
    """Collect the moments at which the metrics of that prefix tell of a task."""
    names = [f"{prefix}{task}" for task in tasks]
    known = [line for line in lines if any(name in line for name in names)]
    scores = [[line.get(name, np.nan) for name in names] for line in known]
    return Curve(
        np.array([line["env_steps"] for line in known], np.int64),
        np.array([line["wall_time_s"] / 60 for line in known]),
        np.array(scores).reshape(len(known), len(names)),
    )
