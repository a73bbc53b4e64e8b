"""The evaluation of a checkpoint on its own: which file, which environments, with progress on standard error."""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

from actors.checkpoint_path import STATE_FILE, checkpoint_paths
from actors.cores import num_cores
from actors.evaluation_result import EvaluationResult
from actors.evaluator import evaluate_suite
from actors.policy_weights import POLICY_FILE, PolicyWeights, find_policy_file, read_policy
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor.console import Console
from stars_dist.run_files.directory import RunDirectory


class CheckpointPolicy(NamedTuple):
    """A checkpoint's policy, and the run that it is of."""

    directory: Path
    weights: PolicyWeights
    env_steps: int
    plan: RunPlan

    @property
    def name(self) -> str:
        """Tell it from others: run and checkpoint, `starter-1/step-000012000`."""
        return f"{self.directory.parent.parent.name}/{self.directory.name}"


def read_checkpoint_policy(run_or_checkpoint: Path) -> CheckpointPolicy:
    """Read the policy of a checkpoint, or of a run's newest one; ValueError where it cannot be evaluated."""
    file = find_policy_file(run_or_checkpoint)
    checkpoint = file.resolve().parent
    try:
        weights, env_steps = _read(checkpoint / file.name)
    except ValueError as error:
        raise ValueError(f"{error}; {_remedy(checkpoint)}") from None
    plan = RunDirectory.existing(checkpoint.parent.parent).read_plan()
    return CheckpointPolicy(file.parent, weights, env_steps, plan)


def _read(file: Path) -> tuple[PolicyWeights, int]:
    weights, _ = read_policy(file)
    return weights, _env_steps(file.parent)


def _remedy(damaged: Path) -> str:
    """Name the newest checkpoint that is whole beside a damaged one."""
    for path in reversed(checkpoint_paths(damaged.parent.parent)):
        with contextlib.suppress(ValueError):
            if path != damaged and _read(path / POLICY_FILE):
                return f"the newest other one that is whole: stars-dist evaluate {shlex.quote(str(path))}"
    return "there is no whole one beside it"


def evaluate_checkpoint(
    policy: CheckpointPolicy, episodes: int, num_processes: int | None
) -> EvaluationResult:
    """Evaluate all tasks; `num_processes` None: as many as this machine has cores."""
    plan, num_tasks = policy.plan, policy.plan.num_tasks
    console = Console(sys.stderr)
    console.phase(f"evaluating {policy.directory}: {episodes} episodes for each of {num_tasks} tasks")
    done: list[str] = []

    def progress(task: object) -> None:
        done.append(str(task))
        console.progress(f"evaluating: {len(done)}/{num_tasks} tasks done")

    tasks = evaluate_suite(
        policy.weights,
        plan.suite,
        episodes=episodes,
        seed=plan.config.seed,
        environment=plan.config.environment,
        num_processes=min(num_processes or num_cores(), num_tasks),
        progress=progress,
    )
    console.close()
    checkpoint, version = str(policy.directory), policy.weights.version
    return EvaluationResult(plan.suite.name, checkpoint, policy.env_steps, version, episodes, tasks)


def _env_steps(checkpoint: Path) -> int:
    try:
        return int(json.loads((checkpoint / STATE_FILE).read_text())["env_steps"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"a checkpoint must hold a whole {STATE_FILE}, {checkpoint} does not") from None
