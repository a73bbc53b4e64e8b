"""A run from its first line to its last: prepare the directory, train, evaluate, say what to do next."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import typer

from actors.evaluation_result import EvaluationResult
from stars_dist import __version__
from stars_dist.commands.bad_input import reading_input
from stars_dist.config import RunConfig
from stars_dist.layers import ResolvedConfig
from stars_dist.monitor.console import Console
from stars_dist.provenance import provenance, this_start
from stars_dist.run_directory import RunDirectory, write_whole

if TYPE_CHECKING:  # these import torch, which takes seconds
    from stars_dist.resume_point import Begin, Start

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
TOLD_BY_US = (
    "worker processes have been started|A worker died or was killed"  # lines of Ray that we say better
)


def start_new(run: RunDirectory, resolved: ResolvedConfig, presets: str) -> None:
    """Makes the run directory and trains; `presets` names the method in reports.

    Raises:
        BadInput: the machine or the cluster cannot carry the run; nothing was written.
        typer.Exit: with 130 after Ctrl-C, with 1 after a failure that restarts did not mend.
    """

    def begin(console: Console) -> Start:
        from stars_dist.monitor.recorder import Recorder
        from stars_dist.resume_point import Start

        with reading_input():
            run.create()
        run.write_config(resolved.config)
        run.write_provenance(provenance(resolved.config.seed, presets, resolved.origins))
        return Start(None, 0, Recorder(run.path))

    _train(run, resolved.config, begin)


def resume(run: RunDirectory, config: RunConfig) -> None:
    """Goes on with a run that ended; `config` may have more steps than before. Raises as `start_new`."""

    def begin(console: Console) -> Start:
        from stars_dist.resume_point import resumed_start

        run.write_config(config)
        record = run.read_provenance()
        record["resumes"].append(this_start())
        run.write_provenance(record)
        return resumed_start(run, config, console)

    _train(run, config, begin)


def _introduce(run: RunDirectory, config: RunConfig) -> Console:
    console = Console()
    console.line(f"stars-dist {__version__}, run directory {run.path}")
    for line in config.plan_lines():
        console.line(line)
    return console


def _train(run: RunDirectory, config: RunConfig, begin: Begin) -> None:
    console = _introduce(run, config)
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", TOLD_BY_US)  # Ray reads it when it is imported
    console.phase("loading torch")  # seconds on a cold disk
    from learner.finite_guard import NonFiniteLossError
    from stars_dist.distributed import train_distributed
    from stars_dist.local import train_serially
    from stars_dist.watch import RunFailedError

    train = train_serially if config.serial else train_distributed
    with _interruptible() as interrupted:
        try:
            result = train(run, config, console, begin, interrupted)
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


def _conclude(run: RunDirectory, result: EvaluationResult) -> None:
    from stars_dist.monitor.evaluation_metrics import evaluation_table

    write_whole(run.evaluation_file, json.dumps(result.to_json(), indent=2) + "\n")
    print(f"\n{evaluation_table(result)}\n")
    print(f"curves:    tensorboard --logdir {run.path.parent} --samples_per_plugin scalars=0")
    print(f"evaluate:  stars-dist evaluate {run.path} --episodes 50")
    print(f"go on:     stars-dist resume {run.path} --steps {2 * result.env_steps}")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM set the event, so that the run is saved; a second one ends the program at once."""
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
