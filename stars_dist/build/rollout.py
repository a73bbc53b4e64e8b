"""The rollout side of a run, built from its plan: the same under Ray and in one process. No torch."""

from __future__ import annotations

from actors.assignment import Assignment, assign_tasks
from actors.rollout import RolloutWorker
from actors.sync import Sync
from replay_service.transport import Transport
from replay_service.writer import ReplayWriter
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory


def build_worker(
    run: RunDirectory, plan: RunPlan, transport: Transport, actor: int, incarnation: int, sync: Sync
) -> RolloutWorker:
    """Build the worker of one actor. Goals are shared through a file of the run directory."""
    config = plan.config
    tasks = assign_tasks(plan.num_tasks, plan.num_actors)[actor]
    assignment = Assignment(actor, incarnation, plan.suite, tasks, config.seed, run.goals_file)
    writer = ReplayWriter(plan.replay, transport, actor, incarnation, tasks)
    return RolloutWorker(assignment, config.actors, config.environment, writer, sync)
