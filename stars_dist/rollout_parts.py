"""The rollout side of a run, built from its configuration: the same under Ray and in one process. No torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actors.assignment import Assignment, assign_tasks
from actors.held_weights import LatestWeights
from actors.rollout import ActorStats, RolloutWorker
from replay_service.transport import Transport
from replay_service.writer import ReplayWriter
from stars_dist.config import RunConfig

GOALS_FILE = "goals.npz"


def build_assignment(config: RunConfig, actor: int, incarnation: int, run_dir: Path) -> Assignment:
    """The work of one actor. Goals are shared through a file of the run directory."""
    suite = config.load_suite()
    tasks = assign_tasks(len(suite.tasks), config.num_actors)[actor]
    return Assignment(actor, incarnation, suite, tasks, config.seed, run_dir / GOALS_FILE)


def build_worker(
    config: RunConfig,
    assignment: Assignment,
    transport: Transport,
    latest_weights: LatestWeights,
    report: Callable[[ActorStats], None] = lambda _: None,
) -> RolloutWorker:
    plan = config.replay_plan()
    writer = ReplayWriter(plan, transport, assignment.actor, assignment.incarnation, assignment.task_ids)
    return RolloutWorker(assignment, config.actors, config.environment, writer, latest_weights, report)
