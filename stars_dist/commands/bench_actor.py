"""`stars-dist bench actor`: where an actor's time goes."""

from __future__ import annotations

import json
import sys

import typer

from stars_dist.commands.bad_input import reading_input


def bench_actor(
    preset: list[str] = typer.Option(["stars"], help="As in launch; repeatable, a later one wins."),
    suite: str = typer.Option("mt10", help="As in launch; every task is rolled out in turn."),
    set_: list[str] = typer.Option([], "--set", help="key.subkey=value for any field; repeatable."),
    envs: str = typer.Option("4", metavar="N", help="Environments of the actor, all of one task."),
    seconds: float = typer.Option(20.0, min=0.0, help="How long to measure, all tasks together."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Time the parts of an actor's step: environment, policy and sending; chunks are discarded."""
    from stars_dist.layers import flag_layer, preset_layer, resolve, set_layer

    with reading_input():
        layers = [*map(preset_layer, preset), *map(set_layer, set_)]
        layers += [
            flag_layer("--suite", "suite", suite),
            flag_layer("--envs", "actors.envs_per_actor", envs),
        ]
        config = resolve(layers).config
    from stars_dist.bench.actor import bench_actor as measure
    from stars_dist.bench.actor import report, summary

    shares = measure(config, seconds, lambda task: print(task.name, file=sys.stderr))
    print(json.dumps(summary(shares, config)) if as_json else report(shares, config, "+".join(preset)))
