"""`stars-dist evaluate`: measure a checkpoint by the protocol."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from stars_dist.errors import checking_input
from stars_dist.help_page import examples


@examples(
    "stars-dist evaluate runs/first",
    "stars-dist evaluate runs/first/checkpoints/step-5000 --episodes 20 --actors 2 --json",
)
def evaluate(
    target: Path = typer.Argument(metavar="RUN|CHECKPOINT", help="Run directory or one of its checkpoints."),
    episodes: int = typer.Option(50, help="Episodes per task; 50 is each goal once."),
    actors: int | None = typer.Option(None, help="Processes that share the tasks.  [default: the cores]"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Evaluate all tasks at one checkpoint: mode action, success at any step, worst task first."""
    from stars_dist.evaluate import evaluate_checkpoint, read_checkpoint_policy
    from stars_dist.monitor.evaluation_metrics import evaluation_table

    with checking_input():
        for name, value in (("--episodes", episodes), ("--actors", actors)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        policy = read_checkpoint_policy(target)
    result = evaluate_checkpoint(policy, episodes, actors)
    print(json.dumps(result.to_json()) if as_json else evaluation_table(result))
