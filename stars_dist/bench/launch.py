"""`stars-dist bench launch`: how soon all tasks act and what the processes of a run hold, on this machine."""

from __future__ import annotations

import re
import time
from math import inf
from typing import NamedTuple

import numpy as np
import psutil

from actors.tasks import Suite
from stars_dist.bench.launched_run import LaunchedRun, launched
from stars_dist.errors import RunFailedError
from stars_dist.monitor.memory import ProcessTreeMemory

START_DEADLINE_S = 600.0
SETTLE_S = 15.0  # between the first transitions and the look at the memory
STEPS_PER_TASK = 100_000  # more than are made before the run is ended


class LaunchResult(NamedTuple):
    """How soon a run's tasks act, and the memory of its processes."""

    first_transition_all_tasks_s: float  # from the start of the command
    actor_private_mb_median: float  # MiB that no other process shares (USS)
    total_gib: float  # all processes of the run, shared pages counted once (PSS)
    largest: tuple[tuple[str, int, float], ...]  # kind of process, how many, MiB private together

    def to_json(self) -> dict[str, float]:
        """Return the figures, without the kinds of processes."""
        figures = self._asdict()
        del figures["largest"]
        return {name: round(value, 2) for name, value in figures.items()}


def measure(suite: Suite, num_actors: int) -> LaunchResult:
    """Start a run, wait for the first transitions of all tasks, measure, and end it.

    Raises:
        RunFailedError: the run ended before all tasks had transitions.
    """
    options = {
        "--suite": suite.name,
        "--preset": "laptop",
        "--actors": str(num_actors),
        "--steps": str(STEPS_PER_TASK * len(suite.tasks)),
        "--address": "local",
    }
    started = time.monotonic()
    with launched([text for option in options.items() for text in option]) as run:
        _wait_for_all_tasks(run)
        seconds = time.monotonic() - started
        time.sleep(SETTLE_S)
        return _memory(run.process, seconds)


def table(result: LaunchResult) -> str:
    """Format the result for a terminal."""
    lines = [
        f"first transitions of all tasks   {result.first_transition_all_tasks_s:7.1f} s after the start",
        f"private memory of an actor       {result.actor_private_mb_median:7.1f} MiB in the median (USS)",
        f"memory of all processes          {result.total_gib:7.2f} GiB (PSS)",
        "",
        "private memory by kind of process",
    ]
    lines += [f"  {name:32s} {count:3d} x {mib / count:7.1f} MiB" for name, count, mib in result.largest]
    return "\n".join(lines)


def _wait_for_all_tasks(run: LaunchedRun) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while not re.search(r"first transitions of all \d+ tasks", run.log.read_text()):
        if run.process.poll() is not None or time.monotonic() > deadline:
            raise RunFailedError(
                f"the run must reach the first transitions of all tasks, its output ends with: {run.last_words}"
            )
        time.sleep(0.1)


def _memory(run: psutil.Process, seconds: float) -> LaunchResult:
    private: dict[str, list[float]] = {}
    for process in [run, *run.children(recursive=True)]:
        try:
            private.setdefault(_kind(process), []).append(process.memory_full_info().uss / 2**20)
        except psutil.NoSuchProcess:
            continue
    largest = sorted(
        ((kind, len(sizes), sum(sizes)) for kind, sizes in private.items()), key=lambda entry: -entry[2]
    )
    actors = private["ray::RolloutProcess"]
    return LaunchResult(
        seconds, float(np.median(actors)), ProcessTreeMemory(run, measured_for_s=inf).gib(), tuple(largest)
    )


def _kind(process: psutil.Process) -> str:
    """Name a process: `ray::RolloutProcess` of `ray::RolloutProcess.run`, else its program."""
    command = process.cmdline()
    if command and command[0].startswith("ray::"):
        return re.split(r"[. ]", command[0])[0]
    return process.name()
