"""A task, and a suite of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.near_name import did_you_mean


class TaskSpec(NamedTuple):
    """One task of a suite."""

    id: int  # position in the suite
    name: str
    family: str  # a module of actors/families/
    horizon: int  # steps before truncation


class Suite(NamedTuple):
    """The tasks that one policy is trained on, in their fixed order."""

    name: str
    benchmark: str  # whose goals the tasks have: "mt1" (each task's own), "mt10", "mt25", "mt50", or the name
    tasks: tuple[TaskSpec, ...]
    obs_dim: int
    action_dim: int
    standard_steps: int  # environment steps over all tasks of a full-length run
    action_dims: tuple[int, ...] = ()  # each task's own components of the action; empty: all of them

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks, in order."""
        return tuple(task.name for task in self.tasks)

    @property
    def action_mask(self) -> NDArray[np.float32]:
        """f32[T, A]: 1 for the components of the action that a task has, 0 for padding."""
        own = np.array(self.action_dims or (self.action_dim,) * len(self.tasks))
        return (np.arange(self.action_dim) < own[:, None]).astype(np.float32)

    def task(self, name: str) -> TaskSpec:
        """Find the task of that name; ValueError with the nearest name if there is none."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise ValueError(
            f"task must be one of suite {self.name}, got {name!r}{did_you_mean(name, self.task_names)}; "
            f"its tasks are {', '.join(self.task_names)}"
        )


def task_specs(names: Sequence[str], family: str, horizons: Sequence[int]) -> tuple[TaskSpec, ...]:
    """Make the tasks of a suite from their names and horizons, numbered in order."""
    return tuple(
        TaskSpec(i, name, family, horizon)
        for i, (name, horizon) in enumerate(zip(names, horizons, strict=True))
    )


def split_names(names: str) -> tuple[str, ...]:
    """Split names at commas; ValueError where one stands twice."""
    split = tuple(part.strip() for part in names.split(","))
    duplicates = sorted({name for name in split if split.count(name) > 1})
    if duplicates:
        raise ValueError(f"a suite must name each task once, got {duplicates[0]!r} twice; remove the second")
    return split
