"""A family of environments: all that the rest of the project asks of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from actors.config import EnvironmentConfig
from actors.goal_environment import GoalEnvironment
from actors.tasks import Suite, TaskSpec

RenderMode = Literal["human", "rgb_array", "depth_array"]


class EnvironmentRequest(NamedTuple):
    """Which environment a family is to build."""

    suite: Suite
    task_id: int
    seed: int  # decides the goals, the same in every process
    config: EnvironmentConfig
    goals_path: Path | None = None  # file that keeps the goals, where a family computes any
    render_mode: RenderMode | None = None

    @property
    def task(self) -> TaskSpec:
        """The task of the environment."""
        return self.suite.tasks[self.task_id]


def _prepare_nothing(suite: Suite, seed: int, path: Path | None) -> None:
    """Do nothing, for a family whose environments share nothing that takes long to compute."""


class Family(NamedTuple):
    """What a module of this package offers as `FAMILY`; `actors/suites.py` has a line for each module.

    parse(name, horizon): read a suite from its name, None as the horizon for each task's own; ValueError for a
        name that is none. The same name gives the same suite in every process.
    build(request): make the environment of one task. Its random stream and the noise are set by the caller.
    prepare(suite, seed, path): compute what the environments of a suite share, once per run and before any is
        built, into a file that `EnvironmentRequest.goals_path` names later; without a file keep it in the process.
    """

    parse: Callable[[str, int | None], Suite]
    build: Callable[[EnvironmentRequest], GoalEnvironment]
    prepare: Callable[[Suite, int, Path | None], None] = _prepare_nothing
