"""A run from its first line to its last: prepare the directory, train, evaluate, print the next commands."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import typer

from actors.evaluation_result import EvaluationResult
from replay_service.atomic_file import write_text
from stars_dist import __version__
from stars_dist.config.merge import ResolvedRun
from stars_dist.config.run_plan import RunPlan
from stars_dist.errors import RunFailedError, checking_input
from stars_dist.monitor.console import Console
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.provenance import provenance, this_start

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from stars_dist.run_files.resume_point import Start

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
# Lines of Ray for which the run has better ones of its own.
LOGGED_BY_US = "worker processes have been started|A worker died or was killed"

Begin = Callable[[Console], "Start"]
"""Make a start's first entries in the run directory; called once it is known that the run can start."""

Train = Callable[[RunDirectory, RunPlan, Console, Begin, threading.Event], EvaluationResult | None]
"""Train to the step budget and evaluate; return None if interrupted, with a checkpoint written."""


def start_new(run: RunDirectory, resolved: ResolvedRun, presets: str) -> None:
    """Make the run directory and train; `presets` names the method in reports.

    Raises:
        UserError: the machine or the cluster cannot carry the run; nothing was written.
        typer.Exit: with 130 after Ctrl-C, with 1 after a failure that restarts did not mend.
    """

    def begin(console: Console) -> Start:
        from stars_dist.run_files.resume_point import Start

        with checking_input():
            run.create()
        run.write_config(resolved.plan.config)
        run.write_provenance(provenance(resolved.plan.config.seed, presets, resolved.origins))
        return Start(None, 0, None)

    _train(run, resolved.plan, begin)


def resume(run: RunDirectory, plan: RunPlan) -> None:
    """Go on with a run that ended; `plan` may have more steps than before. Raises as `start_new`."""

    def begin(console: Console) -> Start:
        from stars_dist.run_files.resume_point import find_start

        run.write_config(plan.config)
        record = run.read_provenance()
        record["resumes"].append(this_start())
        run.write_provenance(record)
        return find_start(run, plan, console.line)

    _train(run, plan, begin)


def _train(run: RunDirectory, plan: RunPlan, begin: Begin) -> None:
    console = _introduce(run, plan)
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", LOGGED_BY_US)  # Ray reads it when it is imported
    console.phase("loading torch")  # seconds on a cold disk
    from learner.finite_guard import NonFiniteLossError

    train = _import_mode(plan)
    with _interruptible() as interrupted:
        try:
            result = train(run, plan, console, begin, interrupted)
        except (RunFailedError, NonFiniteLossError) as error:
            console.close()
            typer.echo(f"error: {error}; then: stars-dist resume {run.path}", err=True)
            raise typer.Exit(EXIT_FAILED) from error
        finally:
            console.close()
    if result is None:
        print(f"interrupted; the run is saved, go on with: stars-dist resume {run.path}")
        raise typer.Exit(EXIT_INTERRUPTED)
    _conclude(run, result)


def _import_mode(plan: RunPlan) -> Train:
    """Import the mode that the run is in and no other: a serial run loads no Ray."""
    if plan.config.serial:
        from stars_dist.serial import train_serially

        return train_serially
    from stars_dist.cluster.distributed_run import train_distributed

    return train_distributed


def _introduce(run: RunDirectory, plan: RunPlan) -> Console:
    console = Console()
    console.line(f"stars-dist {__version__}, run directory {run.path}")
    for line in plan.lines():
        console.line(line)
    return console


def _conclude(run: RunDirectory, result: EvaluationResult) -> None:
    from stars_dist.monitor.evaluation_metrics import evaluation_table
    from stars_dist.report.run_curve import draw_run_curve

    write_text(run.evaluation_file, json.dumps(result.to_json(), indent=2) + "\n")
    print(f"\n{evaluation_table(result)}\n")
    print(f"picture:   {draw_run_curve(run)}")
    print(f"curves:    tensorboard --logdir {run.path.parent} --samples_per_plugin scalars=0")
    print(f"evaluate:  stars-dist evaluate {run.path} --episodes 50")
    print(f"go on:     stars-dist resume {run.path} --steps {2 * result.env_steps}")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Have Ctrl-C and SIGTERM set an event, so that the run is saved; a second one ends the program at once."""
    interrupted = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
