"""`stars-dist bench`: programs that measure, each with its ratios from one run."""

from __future__ import annotations

import typer

from stars_dist.commands.bench_actor import bench_actor
from stars_dist.commands.bench_env import bench_env
from stars_dist.commands.bench_launch import bench_launch
from stars_dist.commands.bench_learner import bench_learner
from stars_dist.commands.bench_replay import bench_replay

bench = typer.Typer(
    help="Measure a part of the system; ratios come from one run.",
    rich_markup_mode=None,
)


@bench.callback(invoke_without_command=True)
def which(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


bench.command("learner")(bench_learner)
bench.command("env")(bench_env)
bench.command("actor")(bench_actor)
bench.command("replay")(bench_replay)
bench.command("launch")(bench_launch)
