"""The suites of tasks that can be trained on, by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Family = Literal["metaworld", "toy"]

BENCHMARKS = ("mt10", "mt25", "mt50")
STARTER_TASKS = ("reach-v3", "drawer-close-v3", "window-close-v3", "button-press-topdown-v3")
MAX_TOY_TASKS = 50

METAWORLD_HORIZON = 500
TOY_HORIZON = 50
METAWORLD_STEPS_PER_TASK = 2_000_000
TOY_STEPS_PER_TASK = 20_000


class TaskSpec(NamedTuple):
    """One task of a suite."""

    id: int  # position in the suite
    name: str
    family: Family
    horizon: int  # steps before truncation


class Suite(NamedTuple):
    """The tasks that one policy is trained on, in their fixed order."""

    name: str
    benchmark: str  # whose goals the tasks have: "mt1" (each task's own), "mt10", "mt25", "mt50" or "toy:N"
    tasks: tuple[TaskSpec, ...]
    obs_dim: int
    action_dim: int
    standard_steps: int  # environment steps over all tasks of a full-length run

    @property
    def task_names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.tasks)

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
    """The suite `mt10`, `mt25`, `mt50`, `starter`, `toy:N`, or a comma-separated list of Meta-World tasks."""
    name = text.strip()
    if name.startswith("toy"):
        return _toy_suite(name, horizon)
    if name in BENCHMARKS:
        return _metaworld_suite(name, name, benchmark_tasks(name), horizon)
    if name == "starter":
        return _metaworld_suite(name, "mt1", STARTER_TASKS, horizon)
    names = tuple(part.strip() for part in name.split(","))
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
                "suite must be mt10, mt25, mt50, starter, toy:N or a comma-separated list of Meta-World "
                f"tasks, got {name!r}{near}; `stars-dist tasks` lists them"
            )
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(f"a suite must name each task once, got {duplicates[0]!r} twice; remove the second")


def _metaworld_suite(name: str, benchmark: str, names: Sequence[str], horizon: int | None) -> Suite:
    steps = METAWORLD_STEPS_PER_TASK * len(names)
    tasks = _task_specs(names, "metaworld", horizon or METAWORLD_HORIZON)
    return Suite(name, benchmark, tasks, obs_dim=39, action_dim=4, standard_steps=steps)


def _toy_suite(name: str, horizon: int | None) -> Suite:
    match = re.fullmatch(r"toy:(\d+)", name)
    count = int(match[1]) if match else 0
    if not 1 <= count <= MAX_TOY_TASKS:
        raise ValueError(
            f"a toy suite must be toy:N with N from 1 to {MAX_TOY_TASKS}, got {name!r}; use toy:4"
        )
    tasks = _task_specs([f"toy-{i}" for i in range(count)], "toy", horizon or TOY_HORIZON)
    return Suite(f"toy:{count}", f"toy:{count}", tasks, 6, 2, TOY_STEPS_PER_TASK * count)


def _task_specs(names: Sequence[str], family: Family, horizon: int) -> tuple[TaskSpec, ...]:
    return tuple(TaskSpec(i, name, family, horizon) for i, name in enumerate(names))
