"""The suites of tasks that can be trained on, by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Family = Literal["metaworld", "toy", "gymnasium"]

BENCHMARKS = ("mt10", "mt25", "mt50")
STARTER_TASKS = ("reach-v3", "drawer-close-v3", "window-close-v3", "button-press-topdown-v3")
MAX_TOY_TASKS = 50

METAWORLD_HORIZON = 500
TOY_HORIZON = 50
METAWORLD_STEPS_PER_TASK = 2_000_000
TOY_STEPS_PER_TASK = 20_000
GYMNASIUM_STEPS_PER_TASK = 1_000_000


class TaskSpec(NamedTuple):
    """One task of a suite."""

    id: int  # position in the suite
    name: str
    family: Family
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
        return tuple(task.name for task in self.tasks)

    @property
    def action_mask(self) -> NDArray[np.float32]:
        """f32[T, A]: 1 for the components of the action that a task has, 0 for padding."""
        own = np.array(self.action_dims or (self.action_dim,) * len(self.tasks))
        return (np.arange(self.action_dim) < own[:, None]).astype(np.float32)

    def task(self, name: str) -> TaskSpec:
        """The task of that name."""
        for task in self.tasks:
            if task.name == name:
                return task
        raise ValueError(
            f"task must be one of suite {self.name}, got {name!r}{suggest(name, self.task_names)}; "
            f"its tasks are {', '.join(self.task_names)}"
        )


def parse_suite(text: str, horizon: int | None = None) -> Suite:
    """The suite of a name: `mt10`, `mt25`, `mt50`, `starter`, `toy:N`, `gym:ID,ID,...` for registered Gymnasium
    environments, or a comma-separated list of Meta-World tasks."""
    name = text.strip()
    if name.startswith("gym:"):
        return _gymnasium_suite(name, horizon)
    if name.startswith("toy"):
        return _toy_suite(name, horizon)
    if name in BENCHMARKS:
        return _metaworld_suite(name, name, benchmark_tasks(name), horizon)
    if name == "starter":
        return _metaworld_suite(name, "mt1", STARTER_TASKS, horizon)
    names = _split(name)
    _check_task_list(names)
    return _metaworld_suite(",".join(names), "mt1", names, horizon)


def benchmark_tasks(benchmark: str) -> tuple[str, ...]:
    """The task names of a Meta-World benchmark in the benchmark's own order; mt1 has every task."""
    import metaworld.env_dict as env_dict

    tasks = {
        "mt1": env_dict.ALL_V3_ENVIRONMENTS,
        "mt10": env_dict.MT10_V3,
        "mt25": env_dict.MT25_V3,
        "mt50": env_dict.MT50_V3,
    }
    return tuple(tasks[benchmark])


def suggest(wrong: str, known: Iterable[str]) -> str:
    """The near name as the end of an error's clause, or nothing."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""


def _check_task_list(names: Sequence[str]) -> None:
    known = benchmark_tasks("mt1")
    for name in names:
        if name not in known:
            near = suggest(name, (*BENCHMARKS, "starter", "toy:4", *known))
            raise ValueError(
                "suite must be mt10, mt25, mt50, starter, toy:N, gym:ID,... or a comma-separated list of "
                f"Meta-World tasks, got {name!r}{near}; `stars-dist tasks` lists them"
            )
    _check_unique(names)


def _split(names: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in names.split(","))


def _check_unique(names: Sequence[str]) -> None:
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(f"a suite must name each task once, got {duplicates[0]!r} twice; remove the second")


def _metaworld_suite(name: str, benchmark: str, names: Sequence[str], horizon: int | None) -> Suite:
    steps = METAWORLD_STEPS_PER_TASK * len(names)
    tasks = _task_specs(names, "metaworld", [horizon or METAWORLD_HORIZON] * len(names))
    return Suite(name, benchmark, tasks, obs_dim=39, action_dim=4, standard_steps=steps)


def _toy_suite(name: str, horizon: int | None) -> Suite:
    match = re.fullmatch(r"toy:(\d+)", name)
    count = int(match[1]) if match else 0
    if not 1 <= count <= MAX_TOY_TASKS:
        raise ValueError(
            f"a toy suite must be toy:N with N from 1 to {MAX_TOY_TASKS}, got {name!r}; use toy:4"
        )
    tasks = _task_specs([f"toy-{i}" for i in range(count)], "toy", [horizon or TOY_HORIZON] * count)
    return Suite(f"toy:{count}", f"toy:{count}", tasks, 6, 2, TOY_STEPS_PER_TASK * count)


def _gymnasium_suite(name: str, horizon: int | None) -> Suite:
    """Every task has the sizes of the largest; a smaller one's observation and action are padded."""
    from actors.gymnasium_tasks import gymnasium_task

    names = _split(name.removeprefix("gym:"))
    _check_unique(names)
    found = [gymnasium_task(task) for task in names]
    whole = f"gym:{','.join(names)}"
    action_dims = tuple(task.action_dim for task in found)
    return Suite(
        whole,
        whole,
        _task_specs(names, "gymnasium", [horizon or task.horizon for task in found]),
        obs_dim=max(task.obs_dim for task in found),
        action_dim=max(action_dims),
        standard_steps=GYMNASIUM_STEPS_PER_TASK * len(names),
        action_dims=action_dims,
    )


def _task_specs(names: Sequence[str], family: Family, horizons: Sequence[int]) -> tuple[TaskSpec, ...]:
    return tuple(
        TaskSpec(i, name, family, horizon)
        for i, (name, horizon) in enumerate(zip(names, horizons, strict=True))
    )
