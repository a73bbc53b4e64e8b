"""What every environment of a suite has in common: numbered goals, a horizon, float32 and no termination."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class GoalEnvironment(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """A Gymnasium environment whose `reset(options={"goal": i})` starts goal i, and a random goal without it.

    An episode is truncated at the horizon, never terminated. `info` has `goal` and, after a step, `success`,
    which is missing where the environment has no success flag. Noise is added to what the simulation gave, from the
    environment's own random stream. Subclasses implement `_start` and `_advance`, and draw whatever they draw from
    `self.np_random`.
    """

    observation_noise = 0.0  # standard deviation, units of the observation
    reward_noise = 0.0  # standard deviation, units of the reward

    def __init__(self, goals: NDArray[np.float64], horizon: int, obs_dim: int, action_dim: int) -> None:
        # Meta-World does not clip a reset's observation to its own bounds, so no finite bound would hold.
        self.observation_space = spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (action_dim,), np.float32)
        self.goals = goals  # f64[number of goals, D]
        self.own_obs_dim = obs_dim  # components that are the task's own; padding follows in some suites
        self.horizon = horizon
        self._goal = 0
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin an episode of the goal in the options, or of one drawn from this environment's stream."""
        super().reset(seed=seed)
        goal = self._choose_goal(options or {})
        return self._begin(goal, self.goals[goal])

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Make one step; past the horizon `truncated` stays true, as in Gymnasium's TimeLimit."""
        shape = self.action_space.shape  # np.shape takes a list, too, and five times as long
        if getattr(action, "shape", None) != shape and np.shape(action) != shape:
            raise ValueError(f"action must have shape {shape}, got {np.shape(action)}")
        obs, reward, info = self._advance(action)
        self._steps += 1
        info["goal"] = self._goal
        if self.reward_noise:
            reward += float(self.np_random.normal(0.0, self.reward_noise))
        return self._observed(obs), reward, False, self._steps >= self.horizon, info

    @abstractmethod
    def _start(self, goal: NDArray[np.float64]) -> NDArray[np.float32]:
        """Begin an episode of this goal; return its first observation f32[O]."""

    @abstractmethod
    def _advance(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, dict[str, Any]]:
        """Make one step; return observation, reward and an info, with `success` where there is a flag."""

    def _begin(self, number: int, goal: NDArray[np.float64]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        self._goal, self._steps = number, 0
        return self._observed(self._start(goal)), {"goal": number}

    def _observed(self, obs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Add noise to the task's own components of an observation."""
        if self.observation_noise:
            noise = self.np_random.normal(0.0, self.observation_noise, self.own_obs_dim)
            obs = obs.copy()
            obs[: self.own_obs_dim] += noise.astype(np.float32)
        return obs

    def _choose_goal(self, options: dict[str, Any]) -> int:
        unknown = sorted(set(options) - {"goal"})
        if unknown:
            raise ValueError(f"reset options must be 'goal' alone, got {unknown[0]!r}; remove it")
        goal = options.get("goal")
        if goal is None:
            return int(self.np_random.integers(len(self.goals)))
        if not isinstance(goal, int | np.integer) or not 0 <= goal < len(self.goals):
            raise ValueError(f"goal must be a whole number from 0 to {len(self.goals) - 1}, got {goal!r}")
        return int(goal)
