"""`stars-dist launch`: start a run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from actors.suites import SUITE_GRAMMAR
from stars_dist.errors import checking_input

if TYPE_CHECKING:
    from stars_dist.config.merge import ResolvedRun
    from stars_dist.config.preset_files import ConfigLayer


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def launch(  # numbers arrive as text: the configuration checks them and names rule, value and remedy
    suite: str = typer.Option("mt10", help=f"{SUITE_GRAMMAR}."),
    actors: str | None = typer.Option(
        None, metavar="N", help="Rollout actors, 1 or more.  [default: one per task]"
    ),
    steps: str | None = typer.Option(
        None, metavar="N", help="Environment steps over all tasks.  [default: the suite's standard budget]"
    ),
    preset: list[str] = typer.Option(
        ["stars"],
        help="A method, ablations and mixins by name (docs/algorithm.md), or FILE.yaml; a later one wins.",
    ),
    set_: list[str] = typer.Option([], "--set", help="key.subkey=value for any field; repeatable."),
    seed: str | None = typer.Option(None, metavar="N", help="Root of every random stream.  [default: 1]"),
    device: Device | None = typer.Option(None, help="Where the learner computes.  [default: auto]"),
    shards: str | None = typer.Option(None, help="auto or a number of replay shards.  [default: auto]"),
    address: str | None = typer.Option(
        None, help="auto (a running Ray cluster, else a new local one), local, or ADDRESS.  [default: auto]"
    ),
    run_dir: Path | None = typer.Option(
        None, help="Run directory.  [default: runs/<suite>-<preset>-s<seed>-<time>]"
    ),
    checkpoint_every: str | None = typer.Option(
        None, metavar="N", help="Environment steps between checkpoints."
    ),
    replay_snapshot_every: str | None = typer.Option(
        None,
        metavar="N",
        help="Environment steps between snapshots of the replay, against lost hosts.  [default: none]",
    ),
    eval_every: str | None = typer.Option(None, metavar="N", help="Environment steps between evaluations."),
    eval_episodes: str | None = typer.Option(None, metavar="N", help="Episodes per task in each evaluation."),
    dry_run: bool = typer.Option(False, help="Show the plan and the resolved configuration, start nothing."),
    serial: bool = typer.Option(False, help="One process without Ray, in lock-step, bit-reproducible."),
) -> None:
    """Train on a suite of tasks."""
    from stars_dist.config.merge import flag_layer, resolve, set_layer
    from stars_dist.config.preset_files import preset_layer
    from stars_dist.run_files.directory import RunDirectory
    from stars_dist.run_files.replay_files import check_snapshots_unused

    flags: dict[tuple[str, str], object] = {
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
    with checking_input():
        layers: list[ConfigLayer] = [preset_layer(name) for name in preset]
        layers += [set_layer(assignment) for assignment in set_]
        layers += [flag_layer(flag, key, value) for (flag, key), value in flags.items() if value is not None]
        resolved = resolve(layers)
        label = "+".join(Path(name).stem for name in preset)
        run = RunDirectory.unused(run_dir, resolved.plan.config, label)
        check_snapshots_unused(run, resolved.plan)
    if dry_run:
        _show(resolved, run.path)
        return
    from stars_dist.train import start_new

    start_new(run, resolved, label)


def _show(resolved: ResolvedRun, path: Path) -> None:
    import yaml

    print(f"# dry run: nothing is started, nothing is written; the run would be {path}")
    print("\n".join(f"# {line}" for line in resolved.plan.lines()))
    for key, origin in sorted(resolved.origins.items()):
        print(f"# {key}: from {origin}")
    print(yaml.safe_dump(resolved.plan.config.model_dump(mode="json"), sort_keys=False), end="")
