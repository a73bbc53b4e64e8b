"""The family of registered Gymnasium environments with boxes to observe and act in, padded to their suite's sizes."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from actors import rendering
from actors.families.family import EnvironmentRequest, Family
from actors.goal_environment import GoalEnvironment
from actors.registered_environment import make_registered, task_sizes
from actors.stability import StabilityCheck
from actors.tasks import Suite, split_names, task_specs

STEPS_PER_TASK = 1_000_000

_GOALS_STREAM = 7002  # keeps the seeds of the goals apart from other random streams
_GOAL_KEY = "desired_goal"  # of the observation of Gymnasium's goal environments
_LARGEST_SEED = 2**31


class GymnasiumEnvironment(GoalEnvironment):
    """One task of a `gym:` suite. Goal i is a reset with the i-th of 50 seeds; without a goal each reset is new.

    Observations are flattened and followed by zeros. The policy's actions in [-1, 1] are scaled to the bounds of
    the environment's; components beyond its own are ignored. Success is `is_success` or `success` of its info, and
    unknown in an environment that has neither. A terminal state ends the episode as such.
    """

    def __init__(
        self,
        suite: Suite,
        task_id: int,
        seed: int,
        num_goals: int,
        hides_goal: bool = False,
        render_mode: str | None = None,
    ) -> None:
        task = suite.tasks[task_id]
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_GOALS_STREAM, task_id)))
        goals = rng.integers(_LARGEST_SEED, size=(50, 1))[:num_goals].astype(np.float64)
        super().__init__(goals, task.horizon, suite.obs_dim, suite.action_dim)
        self.render_mode = render_mode
        self._env = make_registered(task.name, render_mode)
        simulation = getattr(self._env.unwrapped, "data", None)
        self._stability = StabilityCheck(simulation) if hasattr(simulation, "warning") else None  # MuJoCo's
        self._space = self._env.observation_space
        self.own_obs_dim = spaces.flatdim(self._space)
        self._hides_goal = hides_goal
        if hides_goal and not (isinstance(self._space, spaces.Dict) and _GOAL_KEY in self._space.spaces):
            raise ValueError(
                f"environment.partially_observable hides a goal and {task.name} observes none; set it to false"
            )
        action: Any = self._env.action_space
        self._action_shape, self._action_dtype = action.shape, action.dtype
        self._middle, self._half = (
            (action.high + action.low).ravel() / 2,
            (action.high - action.low).ravel() / 2,
        )
        self._terminated = self._truncated = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode: of the goal that the options name, else with a seed of this environment's stream."""
        if options:
            return super().reset(seed=seed, options=options)
        gymnasium.Env.reset(self, seed=seed)
        fresh = np.array([self.np_random.integers(_LARGEST_SEED)], np.float64)
        return self._begin(-1, fresh)

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Make one step; the environment's own ends are kept beside the horizon."""
        obs, reward, _, truncated, info = super().step(action)
        return obs, reward, self._terminated, truncated or self._truncated, info

    def render(self) -> Any:
        """Draw as the environment itself does, whatever else draws in this process."""
        return rendering.draw(self._env)

    def close(self) -> None:
        """Close the environment."""
        rendering.close(self._env)

    def _start(self, goal: NDArray[np.float64]) -> NDArray[np.float32]:
        self._terminated = self._truncated = False
        obs, _ = self._env.reset(seed=int(goal[0]))
        if self._stability is not None:
            self._stability.begin()
        return self._padded(obs)

    def _advance(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, dict[str, Any]]:
        own = self._middle + np.clip(action[: len(self._half)], -1.0, 1.0) * self._half
        own = own.astype(self._action_dtype).reshape(self._action_shape)
        obs, reward, terminated, truncated, info = self._env.step(own)
        if self._stability is not None:
            self._stability.check()
        self._terminated, self._truncated = bool(terminated), bool(truncated)
        flag = info.get("is_success", info.get("success"))
        success = {} if flag is None else {"success": float(flag)}
        return self._padded(obs), float(reward), {**info, **success}

    def _padded(self, obs: Any) -> NDArray[np.float32]:
        """Flatten the observation into f32[O], zeros after the task's own components."""
        if self._hides_goal:
            obs = {**obs, _GOAL_KEY: np.zeros_like(obs[_GOAL_KEY])}
        row = np.zeros(self.observation_space.shape or (), np.float32)
        row[: self.own_obs_dim] = np.asarray(spaces.flatten(self._space, obs))
        return row


def _parse(name: str, horizon: int | None) -> Suite:
    """Read a suite; its sizes are those of the largest task, a smaller one's observation and action are padded."""
    names = split_names(name.removeprefix("gym:"))
    found = [task_sizes(task) for task in names]
    whole = f"gym:{','.join(names)}"
    action_dims = tuple(task.action_dim for task in found)
    return Suite(
        whole,
        whole,
        task_specs(names, "gymnasium", [horizon or task.horizon for task in found]),
        obs_dim=max(task.obs_dim for task in found),
        action_dim=max(action_dims),
        standard_steps=STEPS_PER_TASK * len(names),
        action_dims=action_dims,
    )


def _build(request: EnvironmentRequest) -> GymnasiumEnvironment:
    config = request.config
    return GymnasiumEnvironment(
        request.suite,
        request.task_id,
        request.seed,
        config.num_goals,
        hides_goal=config.partially_observable,
        render_mode=request.render_mode,
    )


FAMILY = Family(_parse, _build)
