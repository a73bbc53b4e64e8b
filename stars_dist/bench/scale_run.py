"""A run on this machine whose processes' CPU time is counted by part."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from stars_dist.bench.launched_run import LaunchedRun, launched
from stars_dist.bench.scale import PARTS, RunCosts
from stars_dist.errors import RunFailedError
from stars_dist.monitor.metrics import read_metrics

START_DEADLINE_S, POLL_S = 1800.0, 0.5
OF_RAY = {
    "ray::RolloutProcess": "actor",
    "ray::Shard": "shard",
    "ray::LearnerProcess": "learner",
    "ray::Coordinator": "coordinator",
}


class _Moment(NamedTuple):
    """A line of the metrics and what the processes had spent when it appeared."""

    at: float
    line: dict[str, float]
    cpu_s: dict[int, tuple[str, float]]  # by process: its part and CPU seconds


def measure(arguments: Sequence[str], actors: int, seconds: float) -> RunCosts:
    """Launch a run, and once all actors act and the learner learns count for so long.

    Raises:
        RunFailedError: the run ended, or took too long to come so far.
    """
    with launched([*arguments, "--actors", str(actors)]) as run:
        first = _moment(run, actors)
        last = _moment(run, actors, not_before=first.at + seconds)
    return _difference(actors, first, last)


def _moment(run: LaunchedRun, actors: int, not_before: float = 0.0) -> _Moment:
    """Wait for a new line of the metrics, with everything running, and count when it appears."""
    metrics = run.directory / "metrics.jsonl"
    deadline, line = time.monotonic() + START_DEADLINE_S, _newest(metrics)
    while True:
        if run.process.poll() is not None or time.monotonic() > deadline:
            raise RunFailedError(
                f"the run must come to train with all of its actors; its output ends with: {run.last_words}"
            )
        time.sleep(POLL_S)
        seen, line = line, _newest(metrics)
        if line is None or line == seen or time.monotonic() < not_before:
            continue
        if line["learner_steps"] > 0 and line.get("perf/actors_alive", 0) >= actors:
            return _Moment(time.monotonic(), line, _spent(run.process))


def _newest(metrics: Path) -> dict[str, float] | None:
    line = None
    if metrics.exists():
        for line in read_metrics(metrics):  # noqa: B007 - the last one
            pass
    return line


def _spent(run: psutil.Process) -> dict[int, tuple[str, float]]:
    spent: dict[int, tuple[str, float]] = {}
    for process in [run, *run.children(recursive=True)]:
        try:
            times, command = process.cpu_times(), process.cmdline()
        except psutil.Error:
            continue
        name = command[0].split(".")[0].split(" ")[0] if command else ""
        part = "program" if process.pid == run.pid else OF_RAY.get(name, "ray")
        spent[process.pid] = (part, times.user + times.system)
    return spent


def _difference(actors: int, first: _Moment, last: _Moment) -> RunCosts:
    cpu_s: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    for pid, (part, spent) in last.cpu_s.items():
        cpu_s[part] += spent - first.cpu_s.get(pid, (part, 0.0))[1]
    steps, updates = (int(last.line[key] - first.line[key]) for key in ("env_steps", "learner_steps"))
    return RunCosts(actors, last.at - first.at, steps, updates, cpu_s)
