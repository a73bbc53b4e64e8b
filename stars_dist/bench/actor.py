"""The actor's benchmark: where the time of an environment step goes, in a process as rollout actors have it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, NamedTuple

from actors.assignment import Assignment
from actors.blas_threads import single_threaded_children
from actors.policy_weights import PolicyWeights
from actors.rollout import RolloutWorker
from actors.sync import SyncReply
from replay_service.types import EpisodeEnd, TransitionBatch
from stars_dist.config.run_plan import RunPlan


class TaskShares(NamedTuple):
    """One task: microseconds of an environment step, and the shares of `perf/actor/*` in them."""

    name: str
    step_us: float
    environment: float
    policy: float
    sending: float


class DiscardedChunks:
    """Takes every chunk at once and forgets it."""

    learner_steps = 1
    closed = False

    def __init__(self, tasks: Sequence[int]) -> None:
        self._tasks = list(tasks)

    def ready_tasks(self, timeout_s: float = 0.0) -> list[int]:
        return self._tasks

    def write(
        self, transitions: TransitionBatch, episodes: Sequence[EpisodeEnd], weights_version: int
    ) -> None: ...

    def take_on(self, task: int) -> None: ...

    def leave(self, task: int) -> None: ...


def measure(plan: RunPlan, seconds: float, progress: Callable[[TaskShares], None]) -> list[TaskShares]:
    """Roll out every task of the suite for its part of `seconds`, in one process with one thread, without torch."""
    suite, weights, shares = plan.suite, _fresh_weights(plan), []
    with single_threaded_children(), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        for task in suite.tasks:
            part = seconds / len(suite.tasks)
            shares.append(process.submit(_roll_out, plan, task.id, weights, part).result())
            progress(shares[-1])
    return shares


def _fresh_weights(plan: RunPlan) -> PolicyWeights:
    """As a learner publishes them after its first update; what they do is of no account to the time they take."""
    from learner.publisher import export_policy  # torch stays out of the process that rolls out
    from stars_dist.build.learner import fresh_learner

    learner = fresh_learner(plan.override(device="cpu"))  # an actor has no other
    learner.learner_steps = 1
    return export_policy(learner)


def _roll_out(plan: RunPlan, task_id: int, weights: PolicyWeights, seconds: float) -> TaskShares:
    suite, config = plan.suite, plan.config
    worker = RolloutWorker(
        Assignment(0, 0, suite, (task_id,), config.seed),
        config.actors,
        config.environment,
        DiscardedChunks([task_id]),
        lambda stats: SyncReply(None if stats.weights_version == weights.version else weights),
    )
    worker.collect_chunk()  # composes the policy
    before, end = worker.stats(), time.monotonic() + seconds
    worker.collect_chunk()  # one at least, however short the time
    while time.monotonic() < end:
        worker.collect_chunk()
    after = worker.stats()
    spent = [
        getattr(after, part) - getattr(before, part) for part in ("environment_s", "policy_s", "sending_s")
    ]
    step_us = 1e6 * sum(spent) / (after.env_steps - before.env_steps)
    return TaskShares(suite.tasks[task_id].name, step_us, *(part / sum(spent) for part in spent))


def summary(shares: Sequence[TaskShares], plan: RunPlan) -> dict[str, Any]:
    """The suite's share of each part is over as many steps of each task, as in a run."""
    total = sum(task.step_us for task in shares)
    parts = {
        f"{part}_share": sum(task.step_us * getattr(task, part) for task in shares) / total
        for part in ("environment", "policy", "sending")
    }
    return {
        "envs_per_actor": plan.config.actors.envs_per_actor,
        "steps_per_s": 1e6 * len(shares) / total,
        **parts,
        "tasks": [task._asdict() for task in shares],
    }


def report(shares: Sequence[TaskShares], plan: RunPlan, label: str) -> str:
    """The benchmark as a table for a person."""
    figures = summary(shares, plan)
    lines = [
        f"{label}, suite {plan.suite.name}: {plan.config.actors.envs_per_actor} environments an actor, one thread",
        f"{'task':30} {'us a step':>9} {'environment':>11} {'policy':>7} {'sending':>7}",
    ]
    for name, step_us, *parts in shares:
        lines.append(f"{name:30} {step_us:9.0f} {parts[0]:11.1%} {parts[1]:7.1%} {parts[2]:7.1%}".rstrip())
    return "\n".join(
        [
            *lines,
            f"an actor that serves all tasks alike makes {figures['steps_per_s']:,.0f} steps a second; policy "
            f"{figures['policy_share']:.1%}, sending (to nowhere) {figures['sending_share']:.1%} of its time",
        ]
    )
