"""`stars-dist launch`: start a run."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from actors.suites import SUITE_GRAMMAR
from stars_dist.commands.completion import preset_names, suite_names
from stars_dist.errors import checking_input
from stars_dist.help_page import examples

if TYPE_CHECKING:
    from stars_dist.config.merge import Flags, ResolvedRun
    from stars_dist.config.run_plan import RunPlan
    from stars_dist.run_files.directory import RunDirectory
    from stars_dist.sweep.trial import Trial


class Device(StrEnum):
    """Where the learner computes."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


SMALL_PRESETS = frozenset({"laptop", "small"})  # made for a machine without a GPU
WORTH_TIMING_UPDATES = 5_000
WORTH_SAYING_S = 3_600.0
INSTEAD = (
    "stars-dist launch --suite starter --preset laptop --steps 140000 --set replay.samples_per_insert=32"
)

# The options in the order of `launch --help`, in its groups. Numbers arrive as text: the configuration checks them and
# names rule, value and remedy.
TASKS = "What to train"
SUITE = typer.Option(
    None,
    help=f"{SUITE_GRAMMAR}.  [default: that of the presets, else mt10]",
    rich_help_panel=TASKS,
    autocompletion=suite_names,
)
PRESET = typer.Option(
    ["stars"],
    help="A method, ablations and mixins by name (`stars-dist presets`), or FILE.yaml, the config.yaml of a run too; "
    "a later one wins.",
    rich_help_panel=TASKS,
    autocompletion=preset_names,
)
SET = typer.Option([], "--set", help="key.subkey=value for any field; repeatable.", rich_help_panel=TASKS)
STEPS = typer.Option(
    None,
    metavar="N",
    help="Environment steps over all tasks.  [default: the suite's standard budget]",
    rich_help_panel=TASKS,
)
SEED = typer.Option(
    None, metavar="N", help="Root of every random stream.  [default: 1]", rich_help_panel=TASKS
)
SEEDS = typer.Option(
    None,
    metavar="N,N,...",
    help="Runs with these seeds, one after the other, in DIR/seed-N; also as 1-5.",
    rich_help_panel=TASKS,
)
MACHINE = "Where it runs"
ACTORS = typer.Option(
    None, metavar="N", help="Rollout actors, 1 or more.  [default: one per task]", rich_help_panel=MACHINE
)
DEVICE = typer.Option(None, help="Where the learner computes.  [default: auto]", rich_help_panel=MACHINE)
SHARDS = typer.Option(
    None, help="auto or a number of replay shards.  [default: auto]", rich_help_panel=MACHINE
)
ADDRESS = typer.Option(
    None,
    help="auto (a running Ray cluster, else a new local one), local, or ADDRESS.  [default: auto]",
    rich_help_panel=MACHINE,
)
SERIAL = typer.Option(
    False, help="One process without Ray, in lock-step, bit-reproducible.", rich_help_panel=MACHINE
)
FILES = "What it writes, and when"
RUN_DIR = typer.Option(
    None,
    help="Run directory.  [default: runs/<suite>-<preset>-s<seed>-<time>-<4 digits>]",
    rich_help_panel=FILES,
)
CHECKPOINT_EVERY = typer.Option(
    None,
    metavar="N",
    help="Environment steps between checkpoints.  [default: every five minutes]",
    rich_help_panel=FILES,
)
REPLAY_SNAPSHOT_EVERY = typer.Option(
    None,
    metavar="N",
    help="Environment steps between snapshots of the replay, against lost hosts.  [default: none]",
    rich_help_panel=FILES,
)
EVAL_EVERY = typer.Option(
    None, metavar="N", help="Environment steps between evaluations.", rich_help_panel=FILES
)
EVAL_EPISODES = typer.Option(
    None, metavar="N", help="Episodes per task in each evaluation.", rich_help_panel=FILES
)
DRY_RUN = typer.Option(False, help="Show the plan and the resolved configuration, start nothing.")


@examples(
    "stars-dist launch --suite starter --preset laptop --actors 4 --steps 140000   # four tasks on two cores",
    "stars-dist launch --suite mt50 --actors 50                                    # stars, 100 M steps",
    "stars-dist launch --suite reach-v3,push-v3 --preset mtsac --preset laptop --set sac.gamma=0.99",
    "stars-dist launch --suite toy:4 --preset small --steps 20000 --serial --seeds 1,2,3",
    "stars-dist launch --suite mt10 --dry-run                                      # the plan, nothing starts",
)
def launch(
    suite: str | None = SUITE,
    preset: list[str] = PRESET,
    set_: list[str] = SET,
    steps: str | None = STEPS,
    seed: str | None = SEED,
    seeds: str | None = SEEDS,
    actors: str | None = ACTORS,
    device: Device | None = DEVICE,
    shards: str | None = SHARDS,
    address: str | None = ADDRESS,
    serial: bool = SERIAL,
    run_dir: str | None = RUN_DIR,
    checkpoint_every: str | None = CHECKPOINT_EVERY,
    replay_snapshot_every: str | None = REPLAY_SNAPSHOT_EVERY,
    eval_every: str | None = EVAL_EVERY,
    eval_episodes: str | None = EVAL_EPISODES,
    dry_run: bool = DRY_RUN,
) -> None:
    """Train on a suite of tasks."""
    flags = {
        ("--suite", "suite"): suite,
        ("--actors", "actors.num_actors"): actors,
        ("--steps", "steps"): steps,
        ("--seed", "seed"): seed,
        ("--device", "device"): device and device.value,
        ("--shards", "replay.num_shards"): None if shards == "auto" else shards,
        ("--address", "address"): address,
        ("--checkpoint-every", "checkpoint.every_env_steps"): checkpoint_every,
        ("--replay-snapshot-every", "replay.snapshot_every_env_steps"): replay_snapshot_every,
        ("--eval-every", "evaluation.every_env_steps"): eval_every,
        ("--eval-episodes", "evaluation.episodes_per_task"): eval_episodes,
        ("--eval-episodes", "evaluation.final_episodes_per_task"): eval_episodes,
        ("--serial", "serial"): serial or None,
    }
    label = "+".join(map(_label, preset))
    if seeds is not None:
        trials = _launch_seeds(seeds, preset, set_, flags, run_dir, label)
        _run_or_show(trials, dry_run)
        return
    resolved, run = _check(preset, set_, flags, run_dir, label)
    if dry_run:
        _show(resolved, run.path)
        return
    _say_how_long(resolved.plan, preset)
    from stars_dist.training import start_new

    start_new(run, resolved, label)


def _run_or_show(trials: Sequence[Trial], dry_run: bool) -> None:
    from stars_dist.sweep.seeds import run_in_turn

    if not dry_run:
        run_in_turn(trials)
    for trial in trials if dry_run else ():
        print(f"# {trial.name}: {shlex.join(['stars-dist', *trial.command()[3:]])}")


def _check(
    presets: Sequence[str], assignments: Sequence[str], flags: Flags, run_dir: str | None, label: str
) -> tuple[ResolvedRun, RunDirectory]:
    from stars_dist.config.merge import command_layers, resolve
    from stars_dist.run_files.directory import RunDirectory

    with checking_input():
        resolved = resolve(command_layers(presets, assignments, flags))
        run = RunDirectory.unused(_path(run_dir), resolved.plan.config, label)
    return resolved, run


def _say_how_long(plan: RunPlan, presets: Sequence[str]) -> None:
    """Say how long a run made for a GPU takes without one, before it starts, and what to type instead."""
    if set(presets) & SMALL_PRESETS or plan.total_updates < WORTH_TIMING_UPDATES:
        return
    from stars_dist.build.update_time import computes_on_cpu, seconds_per_update
    from stars_dist.monitor.pace import duration_words

    with checking_input():
        if not computes_on_cpu(plan):
            return
    seconds = seconds_per_update(plan)
    whole_s = seconds * plan.total_updates
    if whole_s >= WORTH_SAYING_S:
        print(
            f"without a GPU this takes about {duration_words(whole_s)}: {plan.total_updates:,} updates of "
            f"{seconds:.2g} s each. Four tasks in less than an hour instead: {INSTEAD}"
        )


def _label(preset: str) -> str:
    """Name a preset in reports and run directories; the config.yaml of a run by that run's own presets."""
    from stars_dist.run_files.directory import RunDirectory

    run = RunDirectory(Path(preset).parent)
    if Path(preset) != run.config_file or not run.provenance_file.is_file():
        return Path(preset).stem
    return str(run.read_provenance()["presets"])


def _launch_seeds(
    text: str,
    presets: Sequence[str],
    assignments: Sequence[str],
    flags: Flags,
    run_dir: str | None,
    label: str,
) -> list[Trial]:
    """Make the trials of --seeds, each checked as a launch of its own would be."""
    from stars_dist.config.merge import command_layers, resolve
    from stars_dist.run_files.directory import RunDirectory
    from stars_dist.sweep.seeds import parse_seeds, seed_trials
    from stars_dist.sweep.trial import check_same_run, launch_arguments

    with checking_input():
        if flags["--seed", "seed"] is not None:
            raise ValueError("--seeds takes the place of --seed, got both; leave out one")
        seeds = parse_seeds(text)
        plans = [
            resolve(command_layers(presets, assignments, {**flags, ("--seed", "seed"): seed})).plan
            for seed in seeds
        ]
        place = _path(run_dir) or RunDirectory.unused(None, plans[0].config, label).path.with_suffix(".seeds")
        trials = seed_trials(place, seeds, launch_arguments(presets, assignments, flags))
        for trial, plan in zip(trials, plans, strict=True):
            check_same_run(trial, plan)
    return trials


def _path(run_dir: str | None) -> Path | None:
    """Read --run-dir, of which a shell leaves the ~ of `--run-dir=~/run` as it is."""
    if run_dir is not None and not run_dir.strip():
        raise ValueError(f"--run-dir must name a directory, got {run_dir!r}; leave it out for runs/...")
    try:
        return None if run_dir is None else Path(run_dir).expanduser()
    except RuntimeError as error:
        raise ValueError(f"--run-dir must name a directory, got {run_dir!r} ({error})") from None


def _show(resolved: ResolvedRun, path: Path) -> None:
    import yaml

    print(f"# dry run: nothing is started, nothing is written; the run would be {path}")
    print("\n".join(f"# {line}" for line in resolved.plan.lines()))
    for key, origin in sorted(resolved.origins.items()):
        print(f"# {key}: from {origin}")
    print(yaml.safe_dump(resolved.plan.config.model_dump(mode="json"), sort_keys=False), end="")
