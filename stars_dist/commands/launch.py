"""`stars-dist launch`: start a run."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from actors.suites import SUITE_GRAMMAR
from stars_dist.errors import checking_input

if TYPE_CHECKING:
    from stars_dist.config.merge import Flags, ResolvedRun
    from stars_dist.config.run_plan import RunPlan
    from stars_dist.run_files.directory import RunDirectory


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

# The options in the order of `launch --help`. Numbers arrive as text: the configuration checks them and names rule,
# value and remedy.
SUITE = typer.Option(None, help=f"{SUITE_GRAMMAR}.  [default: that of the presets, else mt10]")
ACTORS = typer.Option(None, metavar="N", help="Rollout actors, 1 or more.  [default: one per task]")
STEPS = typer.Option(
    None, metavar="N", help="Environment steps over all tasks.  [default: the suite's standard budget]"
)
PRESET = typer.Option(
    ["stars"],
    help="A method, ablations and mixins by name (docs/algorithm.md), or FILE.yaml, the config.yaml of a run too; a "
    "later one wins.",
)
SET = typer.Option([], "--set", help="key.subkey=value for any field; repeatable.")
SEED = typer.Option(None, metavar="N", help="Root of every random stream.  [default: 1]")
DEVICE = typer.Option(None, help="Where the learner computes.  [default: auto]")
SHARDS = typer.Option(None, help="auto or a number of replay shards.  [default: auto]")
ADDRESS = typer.Option(
    None, help="auto (a running Ray cluster, else a new local one), local, or ADDRESS.  [default: auto]"
)
RUN_DIR = typer.Option(
    None, help="Run directory.  [default: runs/<suite>-<preset>-s<seed>-<time>-<4 digits>]"
)
CHECKPOINT_EVERY = typer.Option(None, metavar="N", help="Environment steps between checkpoints.")
REPLAY_SNAPSHOT_EVERY = typer.Option(
    None,
    metavar="N",
    help="Environment steps between snapshots of the replay, against lost hosts.  [default: none]",
)
EVAL_EVERY = typer.Option(None, metavar="N", help="Environment steps between evaluations.")
EVAL_EPISODES = typer.Option(None, metavar="N", help="Episodes per task in each evaluation.")
DRY_RUN = typer.Option(False, help="Show the plan and the resolved configuration, start nothing.")
SERIAL = typer.Option(False, help="One process without Ray, in lock-step, bit-reproducible.")


def launch(
    suite: str | None = SUITE,
    actors: str | None = ACTORS,
    steps: str | None = STEPS,
    preset: list[str] = PRESET,
    set_: list[str] = SET,
    seed: str | None = SEED,
    device: Device | None = DEVICE,
    shards: str | None = SHARDS,
    address: str | None = ADDRESS,
    run_dir: str | None = RUN_DIR,
    checkpoint_every: str | None = CHECKPOINT_EVERY,
    replay_snapshot_every: str | None = REPLAY_SNAPSHOT_EVERY,
    eval_every: str | None = EVAL_EVERY,
    eval_episodes: str | None = EVAL_EPISODES,
    dry_run: bool = DRY_RUN,
    serial: bool = SERIAL,
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
    resolved, run = _check(preset, set_, flags, run_dir, label)
    if dry_run:
        _show(resolved, run.path)
        return
    _say_how_long(resolved.plan, preset)
    from stars_dist.train import start_new

    start_new(run, resolved, label)


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
