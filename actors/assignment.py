"""The assignment of tasks to actors."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from actors.tasks import Suite


class Assignment(NamedTuple):
    """What one actor works on."""

    actor: int
    incarnation: int  # counts the restarts of this actor, so that a restarted one repeats no random stream
    suite: Suite
    task_ids: tuple[int, ...]
    seed: int  # of the run: the same goals in every actor
    goals_path: Path | None = None  # file that keeps them


def assign_tasks(num_tasks: int, num_actors: int) -> tuple[tuple[int, ...], ...]:
    """Deal the tasks to the actors round-robin: no task without an actor, no actor without a task."""
    return tuple(
        tuple(range(actor, num_tasks, num_actors)) if actor < num_tasks else (actor % num_tasks,)
        for actor in range(num_actors)
    )


def cover_tasks(
    assigned: Sequence[tuple[int, ...]], absent: Collection[int], present: Collection[int]
) -> dict[int, tuple[int, ...]]:
    """Decide what every actor serves while some are absent: a task with none but absent actors moves to a present one.

    Each such task goes to the actor that then has the fewest. Nothing else moves, and once no actor is absent
    every actor has its own tasks again. An actor in neither collection keeps its tasks and gets no others.
    """
    serving = {actor: list(tasks) for actor, tasks in enumerate(assigned)}
    served = {task for actor, tasks in serving.items() if actor not in absent for task in tasks}
    orphans = {task for actor in absent for task in assigned[actor]} - served
    fewest = [(len(serving[actor]), actor) for actor in present]
    heapq.heapify(fewest)
    for task in sorted(orphans) if present else ():
        number, actor = fewest[0]
        serving[actor].append(task)
        heapq.heapreplace(fewest, (number + 1, actor))
    return {actor: tuple(tasks) for actor, tasks in serving.items()}
