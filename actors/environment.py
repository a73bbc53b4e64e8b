"""Builds the environment of one task; the only place where Meta-World's simulation is set up for acting."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from actors.config import EnvironmentConfig
from actors.goal_environment import GoalEnvironment
from actors.goals import benchmark_goals
from actors.gymnasium_environment import GymnasiumEnvironment
from actors.lean_model import lean_class, release_freed_memory
from actors.stability import StabilityCheck
from actors.tasks import Suite, benchmark_tasks, parse_suite, suggest
from actors.toy import ToyEnvironment

RenderMode = Literal["human", "rgb_array", "depth_array"]


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
            from actors.fast_metaworld import fast_class

            environment_class = fast_class(stock)
        if environment_class is not stock and render_mode is None:
            environment_class = lean_class(environment_class)
        env: Any = environment_class(reward_function_version=reward_version, render_mode=render_mode)
        release_freed_memory()
        # What env.set_task(task) of a multi-task benchmark does, but for unpickling the goal at every reset.
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
        return self._env.render()

    def close(self) -> None:
        self._env.close()

    def _start(self, goal: NDArray[np.float64]) -> NDArray[np.float32]:
        self._env._last_rand_vec = goal.copy()
        obs, _ = self._env.reset()
        self._stability.begin()
        return obs.astype(np.float32)

    def _advance(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, dict[str, Any]]:
        obs, reward, _, _, info = self._env.step(action)
        self._stability.check()
        return obs.astype(np.float32), float(reward), info


def make_environment(
    name: str,
    benchmark: str,
    seed: int = 0,
    *,
    stream: tuple[int, ...] = (),
    config: EnvironmentConfig | None = None,
    goals_path: Path | None = None,
    render_mode: RenderMode | None = None,
    fast: bool | None = None,
) -> GoalEnvironment:
    """The environment of a task as a Gymnasium environment; `reset(options={"goal": i})` starts goal i of 50.

    Args:
        name: the task, for example "push-v3" or "toy-0".
        benchmark: whose goals: "mt1" (the task's own), "mt10", "mt25", "mt50", or the name of a suite.
        seed: decides the goals, the same in every process.
        stream: decides which goals are drawn when reset names none; give every actor its own.
        config: horizon, reward version and number of goals.
        goals_path: file that keeps the benchmark's goals; without it they are computed (about 6 s for mt50).
        render_mode: as in Gymnasium; "rgb_array" needs an OpenGL that MuJoCo can use.
        fast: step Meta-World by our faster evaluation or by the library's own; None asks the config.
    """
    config = config or EnvironmentConfig()
    if fast is not None:
        config = config.model_copy(update={"fast": fast})
    suite = _suite_of(name, benchmark, config.horizon)
    task = suite.task(name)
    return build_environment(suite, task.id, seed, stream, config, goals_path, render_mode)


def build_environment(
    suite: Suite,
    task_id: int,
    seed: int,
    stream: tuple[int, ...],
    config: EnvironmentConfig,
    goals_path: Path | None = None,
    render_mode: RenderMode | None = None,
) -> GoalEnvironment:
    """The environment of one task of a parsed suite."""
    env = _of_family(suite, task_id, seed, config, goals_path, render_mode)
    env.observation_noise, env.reward_noise = config.observation_noise, config.reward_noise
    env.np_random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(task_id, *stream)))
    return env


def _of_family(
    suite: Suite,
    task_id: int,
    seed: int,
    config: EnvironmentConfig,
    goals_path: Path | None,
    render_mode: RenderMode | None,
) -> GoalEnvironment:
    task, hides_goal = suite.tasks[task_id], config.partially_observable
    if task.family == "gymnasium":
        return GymnasiumEnvironment(suite, task_id, seed, config.num_goals, hides_goal, render_mode)
    if task.family == "toy":
        if render_mode is not None:
            raise ValueError(f"a toy task draws nothing, got render_mode {render_mode!r}; use None")
        return ToyEnvironment(task_id, seed, config.num_goals, task.horizon, hides_goal)
    goals = benchmark_goals(suite.benchmark, (task.name,), seed, goals_path)[task.name]
    return MetaWorldEnvironment(
        task.name,
        goals[: config.num_goals],
        task.horizon,
        config.reward_version,
        render_mode,
        config.fast,
        hides_goal,
    )


def _suite_of(name: str, benchmark: str, horizon: int | None) -> Suite:
    if benchmark != "mt1":
        return parse_suite(benchmark, horizon)
    known = benchmark_tasks("mt1")
    if name not in known:
        raise ValueError(f"task must be one of Meta-World's, got {name!r}{suggest(name, known)}")
    return parse_suite(name, horizon)
