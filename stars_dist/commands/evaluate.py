"""`stars-dist evaluate`: measure a checkpoint by the protocol."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import typer

from stars_dist.commands.bad_input import reading_input


def evaluate(
    target: Path = typer.Argument(metavar="RUN|CHECKPOINT", help="Run directory or one of its checkpoints."),
    episodes: int = typer.Option(50, help="Episodes a task; 50 is each goal once."),
    actors: int | None = typer.Option(None, help="Processes that share the tasks.  [default: the cores]"),
    as_json: bool = typer.Option(False, "--json", help="Print JSON and nothing else on standard output."),
) -> None:
    """Evaluate all tasks at one checkpoint: mode action, success at any step, worst task first."""
    from actors.evaluation_result import EvaluationResult
    from actors.evaluator import evaluate_suite
    from actors.policy import policy_file, read_policy
    from stars_dist.monitor.console import Console
    from stars_dist.monitor.evaluation_metrics import evaluation_table
    from stars_dist.run_directory import RunDirectory

    with reading_input():
        for name, value in (("--episodes", episodes), ("--actors", actors)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        file = policy_file(target)
        weights, _ = read_policy(file)
        checkpoint = file.resolve().parent
        config = RunDirectory.existing(checkpoint.parent.parent).read_config()
        env_steps = _env_steps(checkpoint)
    suite = config.load_suite()
    console = Console(sys.stderr)
    console.phase(f"evaluating {file.parent}: {episodes} episodes for each of {len(suite.tasks)} tasks")
    done: list[str] = []

    def progress(task: object) -> None:
        done.append(str(task))
        console.progress(f"evaluating: {len(done)}/{len(suite.tasks)} tasks done")

    tasks = evaluate_suite(
        weights,
        suite,
        episodes=episodes,
        seed=config.seed,
        environment=config.environment,
        num_processes=min(actors or os.cpu_count() or 1, len(suite.tasks)),
        progress=progress,
    )
    console.close()
    result = EvaluationResult(suite.name, str(file.parent), env_steps, weights.version, episodes, tasks)
    print(json.dumps(result.to_json()) if as_json else evaluation_table(result))


def _env_steps(checkpoint: Path) -> int:
    try:
        return int(json.loads((checkpoint / "state.json").read_text())["env_steps"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"a checkpoint must hold a whole state.json, {checkpoint} does not; use another checkpoint"
        ) from None
