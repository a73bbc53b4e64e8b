"""A family of environments: all that the rest of the project asks of one, in one place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from actors.config import EnvironmentConfig
from actors.goal_environment import GoalEnvironment
from actors.tasks import Suite

RenderMode = Literal["human", "rgb_array", "depth_array"]


class EnvironmentRequest(NamedTuple):
    """Which environment is to be built."""

    suite: Suite
    task_id: int
    seed: int  # decides the goals, the same in every process
    config: EnvironmentConfig
    goals_path: Path | None  # file that keeps the goals, where a family computes any
    render_mode: RenderMode | None


class Family(NamedTuple):
    """What a module of this package offers as `FAMILY`; `actors/suites.py` lists the modules."""

    parse: Callable[[str, int | None], Suite]  # suite name, horizon or None for each task's own
    build: Callable[[EnvironmentRequest], GoalEnvironment]
    prepare: Callable[
        [Suite, int, Path | None], None
    ]  # once per run, before environments are built: suite, seed, file


def nothing_to_prepare(suite: Suite, seed: int, path: Path | None) -> None:
    """For a family whose environments need nothing computed beforehand."""
