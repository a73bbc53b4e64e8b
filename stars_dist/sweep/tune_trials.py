"""Trials by Ray Tune: as many at a time as there are cores, each in a process of its own beside its worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import ray

from stars_dist.cluster.connection import connect
from stars_dist.interruption import SIGNALS
from stars_dist.monitor.console import Console
from stars_dist.run_files.directory import RunDirectory
from stars_dist.status.run_list import runs_table
from stars_dist.status.run_status import RunStatus, read_status
from stars_dist.sweep.seeds import INTERRUPTED
from stars_dist.sweep.trial import Trial, run_trial

SAVE_S, SAVE_POLL_S = 300.0, 0.5  # for interrupted runs to save, and how often they are looked at
OUTPUT = "output.log"  # of a trial, beside its run directory
LINE_EVERY_S = 60.0


class SweepResult(NamedTuple):
    """Which trials are done."""

    done: list[Trial]
    failed: list[Trial]
    was_interrupted: bool


def run_trials(trials: Sequence[Trial], cpus_per_run: int, address: str, console: Console) -> SweepResult:
    """Run the trials that are not done; one that fails ends no other.

    Raises:
        ValueError: Ray Tune is not installed, or there is no cluster at the address.
    """
    left = [trial for trial in trials if not trial.is_done]
    was_interrupted = False
    if left:
        # Ray would kill what its workers have started; so a run gets the SIGTERM of its parent's end, and saves.
        os.environ["RAY_kill_child_processes_on_worker_exit"] = "0"  # noqa: SIM112 -- as Ray spells it
        console.phase("starting Ray")
        connect(address, len(left))
        _check_cores(cpus_per_run)
        with _Progress(trials, console):
            was_interrupted = _fit(left, cpus_per_run)
        if was_interrupted:
            _wait_until_saved(left, console)
    done = [trial for trial in trials if trial.is_done]
    return SweepResult(done, [trial for trial in left if trial not in done], was_interrupted)


def _wait_until_saved(trials: Sequence[Trial], console: Console) -> None:
    """Wait for the processes of interrupted runs, so that the same command can go on at once."""
    deadline = time.monotonic() + SAVE_S
    while time.monotonic() < deadline:
        saving = [trial.name for trial in trials if RunDirectory(trial.run_dir).is_locked]
        if not saving:
            return
        console.progress(f"interrupted: {len(saving)} runs are saving ({', '.join(saving[:3])})")
        time.sleep(SAVE_POLL_S)


def _check_cores(cpus_per_run: int) -> None:
    cores = max(node["Resources"].get("CPU", 0) for node in ray.nodes())
    if cpus_per_run > cores:
        raise ValueError(
            f"cpus_per_run must be at most the cores of a node, got {cpus_per_run} of {cores:.0f}; lower it"
        )


def check_installed() -> None:
    """Raise a ValueError with the remedy where Ray Tune or what it needs is missing."""
    try:
        import ray.tune  # noqa: F401 -- whether it can be imported is all that is asked
    except ImportError as error:
        raise ValueError(
            f"a sweep needs Ray Tune, which does not load ({error}); pip install 'stars-dist[sweep]'"
        ) from None


def _fit(trials: Sequence[Trial], cpus_per_run: int) -> bool:
    """Run the trials; return whether they were interrupted."""
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}  # read on import
    from ray import tune

    place = trials[0].run_dir.parent.absolute()

    def train(config: dict[str, int]) -> None:
        trial = trials[config["trial"]]
        tune.report({"code": _run_with_output(trial, place)})

    tuner = tune.Tuner(
        tune.with_resources(train, {"CPU": cpus_per_run}),
        param_space={"trial": tune.grid_search(list(range(len(trials))))},
        run_config=tune.RunConfig(name=".tune", storage_path=str(place), verbose=0),
    )
    with _interrupted_by_all_signals():
        fitted = tuner.fit()
    results = [fitted[i] for i in range(len(fitted))]
    return any(
        result.error is None and (result.metrics or {}).get("code") in (None, INTERRUPTED)
        for result in results
    )


def _run_with_output(trial: Trial, place: Path) -> int:
    """Run one trial within Ray Tune's worker, with its output in a file beside its run directory."""
    place.mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    there = trial._replace(run_dir=place / trial.run_dir.name)
    with (place / f"{trial.run_dir.name}.{OUTPUT}").open("ab") as file:
        return run_trial(there, stdout=file, stderr=file, env=environment)


@contextmanager
def _interrupted_by_all_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP do what SIGINT does in Ray Tune: stop the trials, each of which saves its run."""
    others = [number for number in SIGNALS if number != signal.SIGINT]
    before = {
        number: signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT)) for number in others
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Progress:
    """Prints a table of all trials once a minute, and a line in between."""

    def __init__(self, trials: Sequence[Trial], console: Console) -> None:
        self._trials, self._console = trials, console
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="sweep progress", daemon=True)

    def __enter__(self) -> None:
        self._console.phase(f"{len(self._trials)} runs, in {self._trials[0].run_dir.parent}")
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._ended.wait(LINE_EVERY_S):
            self._console.line(runs_table(_begun(self._trials)))
            done = sum(trial.is_done for trial in self._trials)
            self._console.progress(f"{done} of {len(self._trials)} runs are done")


def _begun(trials: Sequence[Trial]) -> list[RunStatus]:
    return [read_status(trial.run_dir) for trial in trials if Path(trial.run_dir, "config.yaml").is_file()]
