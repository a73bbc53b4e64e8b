"""The family of Meta-World's V3 tasks: its benchmarks and suites, and its environments with their goals observable."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors import rendering
from actors.families.family import EnvironmentRequest, Family, RenderMode
from actors.goal_environment import GoalEnvironment
from actors.metaworld.benchmarks import BENCHMARKS, benchmark_tasks
from actors.metaworld.goals import benchmark_goals
from actors.metaworld.headless_model import headless_class, release_freed_memory
from actors.near_name import did_you_mean
from actors.stability import StabilityCheck
from actors.suites import SUITE_GRAMMAR
from actors.tasks import Suite, split_names, task_specs

HORIZON = 500
STEPS_PER_TASK = 2_000_000
NAMED_SUITES = {
    "starter": ("reach-v3", "drawer-close-v3", "window-close-v3", "button-press-topdown-v3"),
    "middle": (  # neither trivial nor hopeless: methods and settings tell apart on these within an hour
        "door-open-v3",
        "drawer-open-v3",
        "peg-insert-side-v3",
        "push-v3",
        "window-close-v3",
        "button-press-topdown-v3",
    ),
}


class MetaWorldEnvironment(GoalEnvironment):
    """A V3 environment of Meta-World with its goal observable, computed exactly as the library does."""

    def __init__(
        self,
        name: str,
        goals: NDArray[np.float64],
        horizon: int,
        reward_version: str,
        render_mode: RenderMode | None = None,
        fast: bool = True,
        hides_goal: bool = False,
    ) -> None:
        import metaworld.env_dict as env_dict

        super().__init__(goals, horizon, obs_dim=39, action_dim=4)
        self.metadata = {"render_modes": ["human", "rgb_array", "depth_array"], "render_fps": 80}
        self.render_mode = render_mode
        stock = environment_class = env_dict.ALL_V3_ENVIRONMENTS[name]
        if fast:
            from actors.metaworld.fast_environment import fast_class

            environment_class = fast_class(stock)
        if environment_class is not stock and render_mode is None:
            environment_class = headless_class(environment_class)
        env: Any = environment_class(reward_function_version=reward_version, render_mode=render_mode)
        release_freed_memory()
        # What the library's env.set_task(task) does, but for unpickling the goal at every reset.
        env._set_task_called = True
        env._freeze_rand_vec = True
        env._partially_observable = hides_goal
        env.__dict__.pop("sawyer_observation_space", None)  # cached with the hidden goal's bounds
        env.max_path_length = sys.maxsize  # the horizon is ours; the library raises when stepped past its own
        self._env = env
        self._stability = StabilityCheck(self.simulation[1])

    @property
    def simulation(self) -> tuple[Any, Any]:
        """MuJoCo's `MjModel` and `MjData` behind the environment."""
        return self._env.model, getattr(self._env.data, "raw", self._env.data)

    def render(self) -> Any:
        """Draw as the library does, whatever else draws in this process."""
        return rendering.draw(self._env)

    def close(self) -> None:
        """Close the library's environment."""
        rendering.close(self._env)

    def _start(self, goal: NDArray[np.float64]) -> NDArray[np.float32]:
        self._env._last_rand_vec = goal.copy()
        obs, _ = self._env.reset()
        self._stability.begin()
        return obs.astype(np.float32)

    def _advance(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, dict[str, Any]]:
        obs, reward, _, _, info = self._env.step(action)
        self._stability.check()
        return obs.astype(np.float32), float(reward), info


def _parse(name: str, horizon: int | None) -> Suite:
    if name in BENCHMARKS:
        return _suite_of(name, name, benchmark_tasks(name), horizon)
    if name in NAMED_SUITES:
        return _suite_of(name, "mt1", NAMED_SUITES[name], horizon)
    names = split_names(name)
    _check_names(names)
    return _suite_of(",".join(names), "mt1", names, horizon)


def _suite_of(name: str, benchmark: str, names: Sequence[str], horizon: int | None) -> Suite:
    tasks = task_specs(names, "metaworld", [horizon or HORIZON] * len(names))
    return Suite(name, benchmark, tasks, obs_dim=39, action_dim=4, standard_steps=STEPS_PER_TASK * len(names))


def _check_names(names: Sequence[str]) -> None:
    known = benchmark_tasks("mt1")
    for name in names:
        if name not in known:
            near = did_you_mean(name, (*BENCHMARKS, *NAMED_SUITES, "toy:4", *known))
            raise ValueError(
                f"suite must be {SUITE_GRAMMAR}, got {name!r}{near}; `stars-dist tasks` lists them"
            )


def _build(request: EnvironmentRequest) -> MetaWorldEnvironment:
    config, task = request.config, request.task
    goals = benchmark_goals(request.suite.benchmark, (task.name,), request.seed, request.goals_path)
    return MetaWorldEnvironment(
        task.name,
        goals[task.name][: config.num_goals],
        task.horizon,
        config.reward_version,
        request.render_mode,
        fast=config.fast,
        hides_goal=config.partially_observable,
    )


def _prepare(suite: Suite, seed: int, path: Path | None) -> None:
    benchmark_goals(suite.benchmark, suite.task_names, seed, path)


FAMILY = Family(_parse, _build, _prepare)
