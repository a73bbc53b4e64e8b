"""Which tasks an actor works on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from actors.tasks import Suite


class Assignment(NamedTuple):
    """What one actor works on."""

    actor: int
    incarnation: int  # counts the restarts of this actor, so that a restarted one repeats no random stream
    suite: Suite
    task_ids: tuple[int, ...]  # one environment each; a task may be repeated
    seed: int  # of the run: the same goals in every actor
    goals_path: Path | None = None


def assign_tasks(num_tasks: int, num_actors: int) -> tuple[tuple[int, ...], ...]:
    """The tasks of every actor, dealt round-robin: no task without an actor, no actor without a task."""
    return tuple(
        tuple(range(actor, num_tasks, num_actors)) if actor < num_tasks else (actor % num_tasks,)
        for actor in range(num_actors)
    )
