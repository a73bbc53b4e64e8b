"""`stars-dist launch`: start a run."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stars_dist.commands.bad_input import reading_input

if TYPE_CHECKING:
    from stars_dist.layers import Layer, ResolvedConfig


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def launch(  # numbers arrive as text: the configuration checks them and names rule, value and remedy
    suite: str = typer.Option(
        "mt10", help="mt10, mt25, mt50, starter, toy:N, gym:ID,..., or task names with commas."
    ),
    actors: str | None = typer.Option(
        None, metavar="N", help="Rollout actors, 1 or more.  [default: one a task]"
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
    eval_episodes: str | None = typer.Option(None, metavar="N", help="Episodes a task in each evaluation."),
    dry_run: bool = typer.Option(False, help="Show the plan and the resolved configuration, start nothing."),
    serial: bool = typer.Option(False, help="One process without Ray, in lock-step, bit-reproducible."),
) -> None:
    """Train on a suite of tasks."""
    from stars_dist.layers import flag_layer, preset_layer, resolve, set_layer
    from stars_dist.replay_storage import check_snapshots_unused
    from stars_dist.run_directory import RunDirectory

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
    with reading_input():
        layers: list[Layer] = [preset_layer(name) for name in preset]
        layers += [set_layer(assignment) for assignment in set_]
        layers += [flag_layer(flag, key, value) for (flag, key), value in flags.items() if value is not None]
        resolved = resolve(layers)
        label = "+".join(Path(name).stem for name in preset)
        run = RunDirectory.unused(run_dir, resolved.config, label)
        check_snapshots_unused(run, resolved.config)
    if dry_run:
        _show(resolved, run.path)
        return
    from stars_dist.run import start_new

    start_new(run, resolved, label)


def _show(resolved: ResolvedConfig, path: Path) -> None:
    import yaml

    config = resolved.config
    print(f"# dry run: nothing is started, nothing is written; the run would be {path}")
    print("\n".join(f"# {line}" for line in config.plan_lines()))
    for key, origin in sorted(resolved.origins.items()):
        print(f"# {key}: from {origin}")
    print(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False), end="")
