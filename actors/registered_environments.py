"""What `gym.make` and `gym.make_vec` make of the names that `actors/registration.py` registers."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv
from numpy.typing import NDArray

from actors.config import EnvironmentConfig
from actors.environment import build_environment, make_environment
from actors.families.family import RenderMode
from actors.goal_environment import GoalEnvironment
from actors.suites import parse_suite


def make_task(
    name: str, seed: int = 1, render_mode: RenderMode | None = None, **config: Any
) -> GoalEnvironment:
    """Make one task with its 50 goals of MT1; `config` are fields of `actors/config.py:EnvironmentConfig`.

    `reset(options={"goal": i})` starts goal i; without it a goal is drawn from the stream of `reset(seed=)`.
    """
    return make_environment(name, "mt1", seed, config=EnvironmentConfig(**config), render_mode=render_mode)


def make_benchmark(
    num_envs: int = 1,
    benchmark: str = "mt10",
    seed: int = 1,
    one_hot: bool = False,
    processes: bool = False,
    **config: Any,
) -> VectorEnv[Any, Any, Any]:
    """Make a benchmark's tasks side by side, with its own goals.

    Args:
        num_envs: environments of each task, so that `env.num_envs` is T times as many.
        benchmark: mt10, mt25 or mt50.
        seed: decides the goals.
        one_hot: append the task as a one-hot vector to each observation.
        processes: a process for each environment, instead of one after the other in this one.
        config: fields of `actors/config.py:EnvironmentConfig`.
    """
    suite = parse_suite(benchmark)
    built = EnvironmentConfig(**config)

    def maker(task_id: int, copy: int) -> Any:
        def make() -> gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]:
            env = build_environment(suite, task_id, seed, (copy,), built)
            return OneHotTask(env, task_id, len(suite.tasks)) if one_hot else env

        return make

    makers = [maker(task.id, copy) for task in suite.tasks for copy in range(num_envs)]
    return AsyncVectorEnv(makers) if processes else SyncVectorEnv(makers)


class OneHotTask(gymnasium.ObservationWrapper[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]):
    """Appends a task's one-hot vector to its observations."""

    def __init__(self, env: GoalEnvironment, task_id: int, num_tasks: int) -> None:
        super().__init__(env)
        self._task = np.eye(num_tasks, dtype=np.float32)[task_id]
        shape = (env.observation_space.shape or (0,))[0] + num_tasks
        self.observation_space = spaces.Box(-np.inf, np.inf, (shape,), np.float32)

    def observation(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Append it."""
        return np.concatenate([observation, self._task])
