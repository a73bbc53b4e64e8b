"""A finished run as a report sees it: its method, seed, final evaluation and learning curve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.evaluation_result import EvaluationResult
from stars_dist.monitor.metrics import read_metrics
from stars_dist.run_directory import RunDirectory


class Curve(NamedTuple):
    """Training success against both clocks: over the newest episodes of each task, mean and worst task. N points."""

    env_steps: NDArray[np.int64]  # i64[N]
    minutes: NDArray[np.float64]  # f64[N], wall clock of the training
    mean_success: NDArray[np.float64]  # f64[N]
    worst_success: NDArray[np.float64]  # f64[N]


class FinishedRun(NamedTuple):
    method: str
    seed: int
    command: str
    commit: str | None
    versions: dict[str, str]
    minutes: float  # wall clock from the first transition to the last metric
    evaluation: EvaluationResult
    curve: Curve

    def to_json(self) -> dict[str, Any]:
        """The raw figures behind a report."""
        return {
            "method": self.method,
            "seed": self.seed,
            "command": self.command,
            "commit": self.commit,
            "versions": self.versions,
            "minutes": round(self.minutes, 2),
            "evaluation": self.evaluation.to_json(),
        }


def read_finished_run(path: Path) -> FinishedRun:
    """A run that has its final evaluation; ValueError for any other directory."""
    run = RunDirectory.existing(path)
    if not run.evaluation_file.is_file():
        raise ValueError(
            f"a report needs finished runs, {path} has no evaluation.json; go on with: stars-dist resume {path}"
        )
    record = run.read_provenance()
    lines = list(read_metrics(path / "metrics.jsonl"))
    return FinishedRun(
        _method(record, path),
        record["seed"],
        record["command"],
        record["commit"],
        record["versions"],
        max((line["wall_time_s"] for line in lines), default=0.0) / 60,
        EvaluationResult.from_json(json.loads(run.evaluation_file.read_text())),
        _curve(lines),
    )


def _method(record: dict[str, Any], path: Path) -> str:
    """The presets and what was set beside them: runs of one method differ in their seed alone."""
    changes = sorted(
        origin.removeprefix("--set ")
        for origin in set(record["origins"].values())
        if origin.startswith("--set ")
    )
    config = RunDirectory(path).read_config().model_dump()
    return " ".join([record["presets"], *(f"{key}={_at(config, key)}" for key in changes)])


def _at(config: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


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
