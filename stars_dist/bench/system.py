"""`stars-dist bench system`: a whole run on this machine for some minutes, and where each second of it goes."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

import psutil

from stars_dist.bench.launched_run import launched
from stars_dist.errors import RunFailedError
from stars_dist.monitor.metrics import read_metrics

DEVICE_POLL_S = 1.0
_GPU_QUERY = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits")


class SystemFigures(NamedTuple):
    """What a run did after its warm-up, by its own metrics."""

    minutes: float  # from the start of the command until it was stopped
    env_steps: int
    learner_steps: int
    env_steps_per_s: float  # after the first update
    updates_per_s: float
    device_busy_share: float | None  # of a GPU, polled; None without one
    learner_wait_share: float  # of the learner's time: for batches, or for leave to draw
    actor_share: dict[str, float]  # of an actor's time, all actors together
    cpu_busy_share: float  # of all cores of this machine
    success: float | None  # rollouts of all tasks, the newest; None before the first episodes
    stopped_because: str

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return self._asdict()


def measure(arguments: Sequence[str], minutes: float) -> SystemFigures:
    """Launch a run with `arguments`, let it train for so long, end it as Ctrl-C does and read its metrics.

    Raises:
        RunFailedError: the run made no update.
    """
    started = time.monotonic()
    with launched(arguments) as run:
        device = _DeviceShare()
        psutil.cpu_percent()
        try:
            reason = _wait(run.process, minutes * 60 - (time.monotonic() - started))
        finally:
            cpu_share = psutil.cpu_percent() / 100
            device_share = device.end()
        run.end()
        elapsed = (time.monotonic() - started) / 60
        metrics = run.directory / "metrics.jsonl"
        lines = list(read_metrics(metrics)) if metrics.exists() else []
        if not any(line["learner_steps"] for line in lines):
            raise RunFailedError(
                f"a run must make updates to be measured, it made none in {elapsed:.1f} minutes; use more --minutes; "
                f"its output ends with: {run.last_words}"
            )
        return figures(lines, elapsed, device_share, cpu_share, reason)


def figures(
    lines: Sequence[dict[str, float]],
    minutes: float,
    device_share: float | None,
    cpu_share: float,
    reason: str,
) -> SystemFigures:
    """Read a run's metrics: rates over all that follows its first update, shares in the median, success at the end."""
    learning = [line for line in lines if line["learner_steps"] > 0]
    first, last = learning[0], learning[-1]
    elapsed_s = max(last["wall_time_s"] - first["wall_time_s"], 1e-9)
    prefix = "perf/actor/"
    shares = {
        name.removeprefix(prefix): median(_values(learning, name))
        for name in sorted({name for line in learning for name in line if name.startswith(prefix)})
    }
    waits = _values(learning, "perf/learner_wait_frac")
    return SystemFigures(
        minutes,
        int(last["env_steps"]),
        int(last["learner_steps"]),
        (last["env_steps"] - first["env_steps"]) / elapsed_s,
        (last["learner_steps"] - first["learner_steps"]) / elapsed_s,
        device_share,
        median(waits) if waits else float("nan"),
        shares,
        cpu_share,
        _success(lines),
        reason,
    )


def report(result: SystemFigures, label: str) -> str:
    """Format the result for a terminal."""
    busy = "no GPU" if result.device_busy_share is None else f"{result.device_busy_share:.0%}"
    success = "none known yet" if result.success is None else f"{result.success:.2f}"
    shares = ", ".join(f"{name} {share:.0%}" for name, share in result.actor_share.items())
    return "\n".join(
        [
            f"{label}: {result.minutes:.1f} minutes, {result.env_steps:,} environment steps, "
            f"{result.learner_steps:,} updates, ended by {result.stopped_because}",
            f"environment steps/s {result.env_steps_per_s:10.1f}",
            f"updates/s           {result.updates_per_s:10.2f}",
            f"device busy         {busy:>10}",
            f"cores busy          {result.cpu_busy_share:10.0%}",
            f"learner waits       {result.learner_wait_share:10.0%}",
            f"an actor's time     {shares}",
            f"success of rollouts {success}",
        ]
    )


def _values(lines: Sequence[dict[str, float]], name: str) -> list[float]:
    return [line[name] for line in lines if name in line]


def _success(lines: Sequence[dict[str, float]]) -> float | None:
    """Return the mean over the tasks of the newest success of their rollouts."""
    newest: dict[str, float] = {}
    for line in lines:
        newest |= {name: value for name, value in line.items() if name.startswith("rollout/success/")}
    return sum(newest.values()) / len(newest) if newest else None


def _wait(run: psutil.Popen, seconds: float) -> str:
    try:
        return f"its own end, exit code {run.wait(timeout=max(seconds, 0.0))}"
    except psutil.TimeoutExpired:
        return "the time"


class _DeviceShare:
    """Polls how busy the GPU is; nothing where there is no driver to ask."""

    def __init__(self) -> None:
        self._shares: list[float] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        if shutil.which(_GPU_QUERY[0]):
            self._thread.start()

    def end(self) -> float | None:
        """Return the mean so far, of what was polled once the device had something to do."""
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join()
        busy = self._shares[next((i for i, share in enumerate(self._shares) if share > 0), 0) :]
        return sum(busy) / len(busy) if busy else None

    def _run(self) -> None:
        while not self._ending.wait(DEVICE_POLL_S):
            answer = subprocess.run(_GPU_QUERY, capture_output=True, text=True, check=False)
            if answer.returncode == 0 and answer.stdout.split():
                self._shares.append(float(answer.stdout.split()[0]) / 100)
