"""The status of a run: its state, progress and tasks, read from its directory alone, beside a live run too."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from actors.checkpoint_path import checkpoint_paths
from stars_dist.config.run_plan import RunPlan
from stars_dist.monitor.metrics_tail import MetricsTail, read_tail
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.ending import was_interrupted


class State(StrEnum):
    """Where a run is in its life."""

    STARTING = "starting"  # its process lives, and has recorded nothing yet
    TRAINING = "training"
    DONE = "done"  # it has made its steps and was evaluated
    INTERRUPTED = "interrupted"  # stopped in order, as by Ctrl-C, and saved; `resume` goes on with it
    DIED = "died"  # no process holds it, it is not done and did not end in order; `resume` goes on with it
    UNREADABLE = "unreadable"  # its configuration is damaged, or of another version


class TaskStatus(NamedTuple):
    """One task of a run; None where nothing is known yet."""

    name: str
    rollout_success: float | None  # over its newest training episodes
    eval_success: float | None  # of the newest evaluation
    rollout_return: float | None
    eval_return: float | None
    quota: int | None  # its rows of a batch

    @property
    def success(self) -> float | None:
        """The evaluation's success rate where there is one, that of rollouts otherwise."""
        return self.rollout_success if self.eval_success is None else self.eval_success

    @property
    def mean_return(self) -> float | None:
        """The evaluation's return where there is one, that of rollouts otherwise."""
        return self.rollout_return if self.eval_return is None else self.eval_return


class RunStatus(NamedTuple):
    """What a run directory tells of its run."""

    run: str
    state: State
    age_s: float  # since it last recorded anything, or since its directory was made
    suite: str | None = None
    presets: str | None = None
    seed: int | None = None
    env_steps: int = 0
    total_steps: int | None = None
    learner_steps: int = 0
    total_updates: int | None = None
    wall_time_s: float = 0.0
    env_steps_per_s: float | None = None
    updates_per_s: float | None = None
    eta_s: float | None = None  # of a live run
    eval_success: float | None = None  # mean over the tasks, newest evaluation
    evaluated_at: int | None = None  # environment steps
    rollout_success: float | None = None  # mean over the tasks with a training episode
    eval_return: float | None = None  # mean over the tasks, newest evaluation
    rollout_return: float | None = None  # mean over the tasks with a training episode
    actors_alive: int | None = None
    num_actors: int | None = None
    samples_per_insert: float | None = None
    policy_lag_mean: float | None = None  # learner steps
    waiting: dict[str, float] = {}  # noqa: RUF012 -- a share of time per side; the record is frozen
    tasks: tuple[TaskStatus, ...] = ()
    last_checkpoint: str | None = None
    checkpoint_age_s: float | None = None
    last_failure: str | None = None  # last line of failures.log
    problem: str | None = None  # why the run is unreadable
    resume_command: str | None = None  # of a run that died or was interrupted

    @property
    def success(self) -> float | None:
        """The mean success of the newest evaluation, that of rollouts without one."""
        return self.rollout_success if self.eval_success is None else self.eval_success

    @property
    def mean_return(self) -> float | None:
        """The mean return of the newest evaluation, that of rollouts without one."""
        return self.rollout_return if self.eval_return is None else self.eval_return

    @property
    def has_success_flag(self) -> bool:
        """Whether any task is known to tell of success; without it a run is judged by its return."""
        return self.success is not None or self.mean_return is None

    def to_json(self) -> dict[str, Any]:
        """Return plain data with the keys that `stars-dist status --json` prints."""
        return self._asdict() | {
            "state": self.state.value,
            "success": self.success,
            "tasks": [task._asdict() for task in self.tasks],
        }


def read_status(path: Path) -> RunStatus:
    """Read the status of a run directory; a configuration that cannot be read is a state of its own.

    Raises:
        ValueError: there is no run.
    """
    run = RunDirectory.existing(path)
    name, age_s = str(path), _age_s(run)
    try:
        plan = run.read_plan()
    except ValueError as error:
        return RunStatus(name, State.UNREADABLE, age_s, problem=str(error))
    tail = read_tail(run.metrics_file)
    state = _state(run, plan, tail)
    checkpoints = checkpoint_paths(run.path)
    status = RunStatus(
        name,
        state,
        age_s,
        suite=plan.suite.name,
        presets=str(run.read_provenance()["presets"]),
        seed=plan.config.seed,
        total_steps=plan.total_steps,
        total_updates=plan.total_updates,
        num_actors=plan.num_actors,
        tasks=tuple(TaskStatus(task, None, None, None, None, None) for task in plan.suite.task_names),
        last_checkpoint=checkpoints[-1].name if checkpoints else None,
        checkpoint_age_s=_since(checkpoints[-1]) if checkpoints else None,
        last_failure=_last_line(run.failures_file),
        resume_command=run.resume_command if state in (State.INTERRUPTED, State.DIED) else None,
    )
    return status if tail is None else _with_metrics(status, plan, tail)


def _state(run: RunDirectory, plan: RunPlan, tail: MetricsTail | None) -> State:
    if run.has_finished(plan):  # a run that is given more steps has a plan that is not finished
        return State.DONE
    if run.is_locked:
        return State.STARTING if tail is None else State.TRAINING
    return State.INTERRUPTED if was_interrupted(run) else State.DIED


def _with_metrics(status: RunStatus, plan: RunPlan, tail: MetricsTail) -> RunStatus:
    values, clocks = tail.values, tail.clocks
    tasks = tuple(_task(task.name, tail) for task in status.tasks)
    is_live = status.state in (State.STARTING, State.TRAINING)
    left = plan.total_updates - clocks.learner_steps
    alive = values.get("perf/actors_alive")
    waiting = {"learner": "perf/learner_wait_frac", "actors": "perf/actor/waiting"}
    return status._replace(
        env_steps=clocks.env_steps,
        learner_steps=clocks.learner_steps,
        wall_time_s=clocks.wall_time_s,
        env_steps_per_s=values.get("perf/env_steps_per_s"),
        updates_per_s=tail.updates_per_s,
        eta_s=left / tail.updates_per_s if is_live and tail.updates_per_s else None,
        eval_success=values.get("eval/mean_success"),
        evaluated_at=tail.evaluated_at,
        rollout_success=_mean([task.rollout_success for task in tasks]),
        eval_return=values.get("eval/mean_return"),
        rollout_return=_mean([task.rollout_return for task in tasks]),
        actors_alive=None if alive is None or not is_live else int(alive),
        samples_per_insert=values.get("perf/samples_per_insert"),
        policy_lag_mean=values.get("perf/policy_lag_mean"),
        waiting={side: values[name] for side, name in waiting.items() if name in values},
        tasks=tasks,
    )


def _task(name: str, tail: MetricsTail) -> TaskStatus:
    values = tail.values
    quota = values.get(f"sampling/quota/{name}")
    return TaskStatus(
        name,
        values.get(f"rollout/success/{name}"),
        values.get(f"eval/success/{name}"),
        values.get(f"rollout/return/{name}"),
        values.get(f"eval/return/{name}"),
        None if quota is None else int(quota),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _age_s(run: RunDirectory) -> float:
    places = (run.metrics_file, run.evaluation_file, run.config_file)
    return min(_since(place) for place in places if place.exists())


def _since(path: Path) -> float:
    return max(0.0, time.time() - path.stat().st_mtime)


def _last_line(path: Path) -> str | None:
    with contextlib.suppress(OSError):
        lines = path.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), None)
    return None
