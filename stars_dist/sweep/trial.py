"""A trial: one run of several, in a process of its own, that is launched, resumed or already done."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from stars_dist.config.run_plan import RunPlan
from stars_dist.interruption import PR_SET_PDEATHSIG, SIGNALS
from stars_dist.run_files import same_run
from stars_dist.run_files.directory import RunDirectory

Arguments = Sequence[str]
"""What follows `stars-dist launch`, without --seed and --run-dir."""


class Trial(NamedTuple):
    """One run of several."""

    name: str
    run_dir: Path
    seed: int
    arguments: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether the run has made its steps and was evaluated."""
        run = RunDirectory(self.run_dir)
        return run.config_file.is_file() and run.has_finished(run.read_plan())

    def command(self) -> list[str]:
        """Choose the command: `launch` for a new run, `resume` for one that has begun."""
        program = [sys.executable, "-m", "stars_dist"]
        if RunDirectory(self.run_dir).config_file.is_file():
            return [*program, "resume", str(self.run_dir), *self._address]
        place = ["--seed", str(self.seed), "--run-dir", str(self.run_dir)]
        return [*program, "launch", *self.arguments, *place]

    @property
    def _address(self) -> Sequence[str]:
        at = self.arguments.index("--address") if "--address" in self.arguments else len(self.arguments)
        return self.arguments[at : at + 2]


def check_same_run(trial: Trial, plan: RunPlan) -> None:
    """Check that a run that is there already is the one that this trial would launch; ValueError otherwise."""
    run = RunDirectory(trial.run_dir)
    if not run.config_file.is_file():
        RunDirectory.unused(trial.run_dir, plan.config, trial.name)
        return
    same_run.check_same_run(run.read_config(), plan.config, trial.run_dir)


def launch_arguments(
    presets: Sequence[str], assignments: Sequence[str], flags: Mapping[tuple[str, str], object]
) -> tuple[str, ...]:
    """Write a command's presets, assignments and flags as `launch` takes them, without its seed."""
    given = dict.fromkeys((flag, value) for (flag, _), value in flags.items() if value is not None)
    arguments = [word for name in presets for word in ("--preset", name)]
    arguments += [word for assignment in assignments for word in ("--set", assignment)]
    for flag, value in given:
        values = value if isinstance(value, tuple) else (value,)
        if flag != "--seed":
            arguments += [flag] if value is True else [word for each in values for word in (flag, str(each))]
    return tuple(arguments)


def run_trial(trial: Trial, **options: Any) -> int:
    """Run a trial to its end and return its exit code; signals to this process go on to it, which saves the run.

    It has a process group of its own, so that Ctrl-C reaches it once, and it is stopped when this process dies.
    """
    if trial.is_done:
        return 0
    process = subprocess.Popen(trial.command(), process_group=0, preexec_fn=_end_with(os.getpid()), **options)
    with _forwarding(process):
        return process.wait()


def _end_with(parent: int) -> Any:
    """Return what has the child get SIGTERM, upon which it saves its run, when its parent dies."""
    library = ctypes.CDLL(None)

    def prepare() -> None:
        if hasattr(library, "prctl"):
            library.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)

    return prepare


@contextmanager
def _forwarding(process: subprocess.Popen[Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # which alone may have handlers
        yield
        return
    before = {
        number: signal.signal(number, lambda number, frame: process.send_signal(number)) for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
