"""A run from its first line to its last: prepare the directory, train, evaluate, print the next commands."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from actors.evaluation_result import EvaluationResult
from replay_service.atomic_file import write_text
from replay_service.full_disk import DiskPause, PlaceGoneError, disk_of, is_full_disk
from replay_service.identity import give_identity
from stars_dist import __version__
from stars_dist.config.merge import ResolvedRun
from stars_dist.config.run_plan import RunPlan
from stars_dist.errors import RunFailedError, checking_input
from stars_dist.interruption import Interruption, RunInterruptedError
from stars_dist.monitor.console import Console
from stars_dist.monitor.metrics import recorded_learning
from stars_dist.monitor.trackers import check_installed
from stars_dist.run_files import ending
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.provenance import provenance, this_start
from stars_dist.run_files.remote_copy import RemoteCopy
from stars_dist.run_files.replay_place import check_replay_room, take_replay_place

if TYPE_CHECKING:  # it imports torch, which takes seconds
    from stars_dist.run_files.resume_point import Start

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130
ROOM_POLL_S = 2.0  # of a disk that is full at the end of a run
# Lines of Ray for which the run has better ones of its own.
LOGGED_BY_US = "worker processes have been started|A worker died or was killed"

Begin = Callable[[Console], "Start"]
"""Make a start's first entries in the run directory; called once it is known that the run can start."""

Train = Callable[[RunDirectory, RunPlan, Console, Begin, Interruption], EvaluationResult]
"""Train to the step budget and evaluate; RunInterruptedError after a signal, with a checkpoint written."""


def start_new(run: RunDirectory, resolved: ResolvedRun, presets: str) -> None:
    """Make the run directory and train; `presets` names the method in reports.

    Raises:
        UserError: the machine or the cluster cannot carry the run; nothing was written.
        typer.Exit: with 130 after Ctrl-C, with 1 after a failure that restarts did not mend.
    """
    with checking_input():
        check_installed(resolved.plan.config.trackers)

    def begin(console: Console) -> Start:
        from stars_dist.run_files.resume_point import Start
        from stars_dist.run_files.snapshot_place import take_place

        plan = resolved.plan
        with checking_input():
            copy = RemoteCopy.of(plan.config.checkpoint.directory, run.path)
            check_replay_room(run, plan)
            if copy is not None:
                copy.check_unused(run.path)
            run.create()
        take_place(run, plan)
        run.write_provenance(provenance(plan.config.seed, presets, resolved.origins))
        with checking_input():
            if copy is not None:
                copy.begin(run)
            take_replay_place(run, plan, console.line)
        run.write_config(plan.config)  # it makes the directory a run
        give_identity(run.replay)
        return Start(None, 0)

    _train(run, resolved.plan, begin)


def resume(run: RunDirectory, plan: RunPlan) -> None:
    """Go on with a run that ended; `plan` may have more steps than before.

    Raises:
        UserError: it has learned and has no whole checkpoint; else as `start_new`.
    """

    def begin(console: Console) -> Start:
        from stars_dist.run_files.resume_point import check_resumable, find_start

        with checking_input():
            copy = RemoteCopy.of(plan.config.checkpoint.directory, run.path)
            check_resumable(run, plan, recorded_learning(run.metrics_file))
            check_replay_room(run, plan)
        run.write_config(plan.config)
        record = run.read_provenance()
        record["resumes"].append(this_start())
        record.pop(ending.KEY, None)
        run.write_provenance(record)
        with checking_input():
            if copy is not None:
                copy.begin(run)
            take_replay_place(run, plan, console.line)
            return find_start(run, plan, console.line)

    _train(run, plan, begin)


def _train(run: RunDirectory, plan: RunPlan, begin: Begin) -> None:
    interruption = Interruption()
    console = _introduce(run, plan)
    with interruption.listening():
        try:
            result = _load_and_train(run, plan, console, begin, interruption)
        except RunInterruptedError:
            console.close()
            _conclude_interrupted(run, console, interruption.learner_steps())
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except KeyboardInterrupt:
            console.close()
            _conclude_quit(run, console, interruption.learner_steps())
            raise typer.Exit(EXIT_INTERRUPTED) from None
        finally:
            console.close()
        _conclude(run, plan, console, result, interruption)


def _load_and_train(
    run: RunDirectory, plan: RunPlan, console: Console, begin: Begin, interruption: Interruption
) -> EvaluationResult:
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", LOGGED_BY_US)  # Ray reads it when it is imported
    console.phase("loading torch")  # seconds on a cold disk
    from learner.finite_guard import NonFiniteLossError

    train = _import_mode(plan)
    try:
        return train(run, plan, console, begin, interruption)
    except (RunFailedError, NonFiniteLossError) as error:
        console.close()
        console.error(f"error: {error}; then: {run.resume_command}")
        raise typer.Exit(EXIT_FAILED) from error
    except OSError as error:
        console.close()
        console.error(f"error: {_of_system(run, error)}")
        raise typer.Exit(EXIT_FAILED) from error


def _of_system(run: RunDirectory, error: OSError) -> str:
    """Say what the system has refused to the run, and what helps."""
    if is_full_disk(error):
        rule, remedy = f"a run needs room, {disk_of(run.path)} is full", "free some"
    else:
        rule, remedy = f"the run has ended, {error}", "mend that"
    began = run.config_file.exists()
    return f"{rule}; {remedy}, {f'then: {run.resume_command}' if began else 'or use another --run-dir'}"


def _import_mode(plan: RunPlan) -> Train:
    """Import the mode that the run is in and no other: a serial run loads no Ray."""
    if plan.config.serial:
        from stars_dist.serial.serial_run import train_serially

        return train_serially
    from stars_dist.cluster.distributed_run import train_distributed

    return train_distributed


def _introduce(run: RunDirectory, plan: RunPlan) -> Console:
    console = Console()
    console.line(f"stars-dist {__version__}, run directory {run.path}")
    for line in plan.lines():
        console.line(line)
    return console


def _conclude(
    run: RunDirectory, plan: RunPlan, console: Console, result: EvaluationResult, interruption: Interruption
) -> None:
    from stars_dist.report.closing import closing_words
    from stars_dist.report.run_curve import draw_run_curve

    console.line(f"\n{closing_words(run, plan.suite, result)}\n")
    text = json.dumps(result.to_json(), indent=2) + "\n"
    _when_there_is_room(run, console, interruption, lambda: _write_evaluation(run, text))
    if (copy := RemoteCopy.of(plan.config.checkpoint.directory, run.path)) is not None:
        copy.finish(run, console.line)
    _when_there_is_room(run, console, interruption, lambda: console.line(f"picture:   {draw_run_curve(run)}"))
    console.line(f"curves:    tensorboard --logdir {shlex.quote(str(run.path.parent))}")
    console.line(f"evaluate:  stars-dist evaluate {run.argument} --episodes 50")
    console.line(f"go on:     {run.resume_command} --steps {2 * result.env_steps}")


def _write_evaluation(run: RunDirectory, text: str) -> None:
    run.check_there()
    write_text(run.evaluation_file, text)


def _when_there_is_room(
    run: RunDirectory, console: Console, interruption: Interruption, write: Callable[[], None]
) -> None:
    """Write a part of a run's result, however long the disk is full; typer.Exit after a signal."""
    pause = DiskPause("evaluation.json and curves.png", run.path, console.line)
    while not pause.attempt(write):
        if interruption.wait(ROOM_POLL_S):
            console.line(f"interrupted; NOT saved: the evaluation; make it again with: {run.resume_command}")
            raise typer.Exit(EXIT_INTERRUPTED)


def _conclude_interrupted(run: RunDirectory, console: Console, learner_steps: int) -> None:
    """Print whether the run is saved, which is what lies on the disk, and how it goes on."""
    saved = _saved_steps(run, console)
    go_on = _go_on(run)
    if saved is None and learner_steps == 0:
        ending.note_interrupted(run)
        console.line(f"interrupted before the first update, there was nothing to save; {go_on}")
    elif saved is not None and saved >= learner_steps:
        ending.note_interrupted(run)
        console.line(f"interrupted; the run is saved, {go_on}")
    else:
        console.line(f"interrupted; NOT saved: {_lost(saved, learner_steps)}; {go_on}")


def _conclude_quit(run: RunDirectory, console: Console, learner_steps: int) -> None:
    """Print what a program that was told to quit has not saved."""
    if not run.config_file.exists():
        console.line("quit before the run began; nothing was written")
        return
    saved = _saved_steps(run, console)
    console.line(f"quit; not saved: {_lost(saved, learner_steps)}; {_go_on(run)}")


def _go_on(run: RunDirectory) -> str:
    try:
        run.check_there()
    except PlaceGoneError as error:
        return f"{error}; go on with it by `stars-dist resume` where it is now"
    return f"go on with: {run.resume_command}"


def _saved_steps(run: RunDirectory, console: Console) -> int | None:
    from stars_dist.run_files.resume_point import resume_point

    point = resume_point(run.path, console.line)
    return None if point is None else point.learner_steps


def _lost(saved: int | None, learner_steps: int) -> str:
    if saved is None:
        return f"all {learner_steps:,} updates, there is no whole checkpoint"
    after = f"what was learned after update {saved:,}"
    return f"{after}, up to {learner_steps:,}" if learner_steps > saved else after
