"""`stars-dist bench`: programs that measure, each with its ratios from one run."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import CommandWithExamples, examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.tasks import Suite
    from stars_dist.config.merge import Flags
    from stars_dist.config.run_plan import RunPlan

AS_JSON = typer.Option(False, "--json", help="Print JSON and nothing else on standard output.")
PRESET = typer.Option(["stars"], help="As in launch; repeatable, a later one wins.")
SCALE_PRESET = typer.Option(["stars", "small"], "--preset", help="As in launch; repeatable.")
DEVICE = typer.Option("auto", help="auto, cpu or cuda.")
SET = typer.Option([], "--set", help="key.subkey=value for any field; repeatable.")

bench = typer.Typer(help="Measure a part of the system; ratios come from one run.", rich_markup_mode=None)


class Actions(StrEnum):
    """What acts while environments are timed."""

    RANDOM = "random"
    SCRIPTED = "scripted"


class Peer(StrEnum):
    """Another project whose environments are timed beside ours."""

    ENVPOOL = "envpool"


@bench.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    """Show the help where no benchmark is named."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@bench.command(cls=CommandWithExamples)
@examples(
    "stars-dist bench learner --preset laptop --seconds 20",
    "stars-dist bench learner --suite mt50 --device cuda --json",
)
def learner(
    preset: list[str] = PRESET,
    suite: str = typer.Option("mt10", help="As in launch: its tasks and sizes; nothing is simulated."),
    set_: list[str] = SET,
    device: str = DEVICE,
    threads: str | None = typer.Option(
        None, metavar="N", help="Threads of torch.  [default: torch's choice]"
    ),
    seconds: float = typer.Option(20.0, min=0.0, help="How long to measure."),
    as_json: bool = AS_JSON,
) -> None:
    """Time an update, a plain multi-head SAC's on the same batch, and the update's matrix products alone."""
    flags = {
        ("--suite", "suite"): suite,
        ("--device", "device"): device,
        ("--threads", "learner.torch_threads"): threads,
    }
    plan = _plan(preset, set_, flags)
    from stars_dist.bench.learner import measure, report
    from stars_dist.build.device import choose_device, device_use

    with checking_input():
        device_use(plan, choose_device(plan.config.device))
    figures = measure(plan, seconds)
    print(json.dumps(figures.to_json()) if as_json else report(figures, plan, "+".join(preset)))


@bench.command(cls=CommandWithExamples)
@examples(
    "stars-dist bench env --suite mt10",
    "stars-dist bench env --actions scripted --write docs/results",
    "stars-dist bench env --peer envpool                  # beside EnvPool's port to C++",
)
def env(
    suite: str = typer.Option("mt50", help="mt10, mt25, mt50, or Meta-World tasks with commas."),
    steps: int = typer.Option(200, help="Steps per task of each kind."),
    actions: Actions = typer.Option(
        Actions.RANDOM, help="Uniform actions, or Meta-World's scripted policies."
    ),
    seed: int = typer.Option(1, help="Of the goals and the random actions."),
    peer: Peer | None = typer.Option(
        None, help="Time a step of ours beside another project's port instead; random actions."
    ),
    write: Path | None = typer.Option(
        None, metavar="DIR", help="Also write figures with provenance, and a plot."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Time a step of stock Meta-World, of ours, and of MuJoCo alone, interleaved."""
    from actors.suites import parse_suite

    with checking_input():
        _check_at_least_one(steps=steps)
        _check_written(write)
        loaded = parse_suite(suite)
        if loaded.tasks[0].family != "metaworld":
            raise ValueError(f"--suite must be of Meta-World, got {suite}; use mt10, mt25 or mt50")
    if peer is not None:
        _peer(loaded, steps, seed, actions, write, as_json)
        return
    from stars_dist.bench.env import measure, summary
    from stars_dist.bench.env_report import table
    from stars_dist.bench.env_report import write as write_report
    from stars_dist.run_files.provenance import this_start

    made_by = this_start() | {"seed": seed}
    timings = measure(loaded, steps, seed, actions.value, lambda timing: _log(timing.name))
    if write is not None:
        write_report(write, timings, actions.value, made_by)
    print(json.dumps(summary(timings)) if as_json else table(timings))


def _peer(suite: Suite, steps: int, seed: int, actions: Actions, write: Path | None, as_json: bool) -> None:
    from stars_dist.bench.env_peer import check_installed, measure, peer_page, summary, table
    from stars_dist.run_files.provenance import this_start

    with checking_input():
        if actions is not Actions.RANDOM:
            raise ValueError(f"--peer compares random actions, got --actions {actions}; leave it out")
        check_installed()
    made_by = this_start() | {"seed": seed}
    timings = measure(suite, steps, seed, lambda timing: _log(timing.name))
    if write is not None:
        peer_page(write, timings, made_by)
    print(json.dumps(summary(timings)) if as_json else table(timings))


@bench.command(cls=CommandWithExamples)
@examples(
    "stars-dist bench actor --preset laptop --envs 4",
)
def actor(
    preset: list[str] = PRESET,
    suite: str = typer.Option("mt10", help="As in launch; every task is rolled out in turn."),
    set_: list[str] = SET,
    envs: str = typer.Option("4", metavar="N", help="Environments of the actor, all of one task."),
    seconds: float = typer.Option(20.0, min=0.0, help="How long to measure, all tasks together."),
    as_json: bool = AS_JSON,
) -> None:
    """Time the parts of an actor's step: environment, policy and sending; chunks are discarded."""
    plan = _plan(preset, set_, {("--suite", "suite"): suite, ("--envs", "actors.envs_per_actor"): envs})
    from stars_dist.bench.actor import measure, report, summary

    shares = measure(plan, seconds, lambda task: _log(task.name))
    print(json.dumps(summary(shares, plan)) if as_json else report(shares, plan, "+".join(preset)))


@bench.command(cls=CommandWithExamples)
@examples(
    "stars-dist bench replay --rounds 3 --seconds 5",
)
def replay(
    as_json: bool = AS_JSON,
    rounds: int = typer.Option(7, help="How often each part is measured; the median counts."),
    seconds: float = typer.Option(10.0, help="How long the part with Ray is measured."),
    batches_per_call: int = typer.Option(8, help="Batches that the learner of that part draws by one call."),
    write: Path | None = typer.Option(None, metavar="DIR", help="Also write replay.md and its plot there."),
) -> None:
    """Measure the replay service: beside cpprb (if installed), inserts, through Ray, growth, snapshots."""
    with checking_input():
        _check_at_least_one(rounds=rounds, seconds=seconds, batches_per_call=batches_per_call)
        _check_written(write)
    from stars_dist.bench.replay import measure, table, write_report

    figures = measure(rounds, seconds, batches_per_call, lambda part: _log(f"measuring {part}"))
    print(json.dumps(figures.to_json()) if as_json else table(figures))
    if write is not None:
        options = f"--rounds {rounds} --seconds {seconds:g} --batches-per-call {batches_per_call}"
        write_report(figures, f"stars-dist bench replay {options} --write {write}", write)


@bench.command(cls=CommandWithExamples)
@examples(
    "stars-dist bench launch --suite mt50 --actors 50",
)
def launch(
    suite: str = typer.Option("mt50", help="The suite to start."),
    actors: int = typer.Option(50, help="Rollout actors, 1 or more."),
    as_json: bool = AS_JSON,
) -> None:
    """Start a run on this machine: seconds to the first transitions of all tasks, and memory."""
    from actors.suites import parse_suite
    from stars_dist.bench.launch import measure, table

    with checking_input():
        _check_at_least_one(actors=actors)
        loaded = parse_suite(suite)
    result = measure(loaded, actors)
    print(json.dumps(result.to_json()) if as_json else table(result))


@bench.command(cls=CommandWithExamples)
@examples(
    "stars-dist bench system --json",
)
def system(
    preset: list[str] = PRESET,
    suite: str = typer.Option("mt10", help="As in launch."),
    actors: str | None = typer.Option(None, metavar="N", help="As in launch.  [default: one per task]"),
    set_: list[str] = SET,
    device: str = DEVICE,
    minutes: float = typer.Option(5.0, help="How long the run lasts, its start included."),
    as_json: bool = AS_JSON,
) -> None:
    """Run everything on this machine: environment steps and updates per second, and where each second goes."""
    flags = {
        ("--suite", "suite"): suite,
        ("--device", "device"): device,
        ("--actors", "actors.num_actors"): actors,
    }
    _plan(preset, set_, flags)
    with checking_input():
        if minutes <= 0:
            raise ValueError(f"--minutes must be above 0, got {minutes:g}; a start takes about half a minute")
    from stars_dist.bench.system import measure, report
    from stars_dist.sweep.trial import launch_arguments

    figures = measure([*launch_arguments(preset, set_, flags), "--address", "local"], minutes)
    print(json.dumps(figures.to_json()) if as_json else report(figures, f"{suite}, {'+'.join(preset)}"))


@bench.command(cls=CommandWithExamples)
@examples(
    "stars-dist bench scale --actors 10,30,100",
)
def scale(
    preset: list[str] = SCALE_PRESET,
    suite: str = typer.Option("toy:10", help="As in launch."),
    actors: str = typer.Option("10,30,100", metavar="N,N,...", help="Sizes of the runs, two or more."),
    seconds: float = typer.Option(60.0, min=1.0, help="How long each run is counted once all of it acts."),
    as_json: bool = AS_JSON,
) -> None:
    """Count the CPU time of each part in runs of several sizes; the two smallest predict the others."""
    with checking_input():
        sizes = sorted({int(size) for size in actors.split(",") if size.strip().isdigit()})
        if len(sizes) < 2 or len(sizes) != len(actors.split(",")) or sizes[0] < 1:
            raise ValueError(f"--actors must be two sizes or more, got {actors}; use 10,30,100")
    flags = {("--suite", "suite"): suite}
    _plan(preset, (), flags)
    from stars_dist.bench.part_costs import measure as measure_parts
    from stars_dist.bench.scale import report, summary
    from stars_dist.bench.scale_run import measure
    from stars_dist.sweep.trial import launch_arguments

    arguments = [*launch_arguments(preset, (), flags), "--device", "cpu", "--address", "local"]
    arguments += ["--steps", "1000000000"]
    parts = measure_parts(sizes[-1])
    _log(str(parts))
    runs = []
    for size in sizes:
        _log(f"a run with {size} actors")
        runs.append(measure(arguments, size, seconds))
    figures = summary(runs) | {"parts": parts._asdict()}
    print(json.dumps(figures) if as_json else f"{parts}\n{report(runs)}")


def _plan(presets: Sequence[str], assignments: Sequence[str], flags: Flags) -> RunPlan:
    from stars_dist.config.merge import command_layers, resolve

    with checking_input():
        return resolve(command_layers(presets, assignments, flags)).plan


def _check_at_least_one(**values: float) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")


def _check_written(directory: Path | None) -> None:
    from stars_dist.output_place import check_output_place

    if directory is not None:
        check_output_place("a benchmark's page", directory, "--write")


def _log(line: str) -> None:
    print(line, file=sys.stderr)
