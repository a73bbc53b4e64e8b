"""The family of toy tasks: point masses that are cheap to step, for tests and first experiments.

A point in the square [-1, 1]^2 must reach a target. All tasks have the same observation, but each turns or
mirrors the action in its own way before the point follows it: toy-0 and toy-1 need opposite actions in the
same place, so that a policy which does not look at the task cannot do both. Every task is harder than the one
before: its target is smaller, its point slower and drifting, and its reward flatter far from the target.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.families.family import EnvironmentRequest, Family
from actors.goal_environment import GoalEnvironment
from actors.tasks import Suite, task_specs

MAX_TASKS = 1000
HORIZON = 50
STEPS_PER_TASK = 20_000

# How a task turns the action, as rows of a 2 x 2 matrix: straight, opposite, a quarter turn, mirrored.
_TURNS = (
    (1.0, 0.0, 0.0, 1.0),
    (-1.0, 0.0, 0.0, -1.0),
    (0.0, -1.0, 1.0, 0.0),
    (0.0, 1.0, 1.0, 0.0),
)
_HARDEST = 5  # from here on tasks are equally hard
_GOALS_STREAM = 7001  # keeps the goals' random stream apart from those of the actors


class ToyEnvironment(GoalEnvironment):
    """Task i of a toy suite. A goal is a start of the point and a target, which may be hidden."""

    def __init__(
        self, task_id: int, seed: int, num_goals: int, horizon: int, hides_goal: bool = False
    ) -> None:
        super().__init__(_draw_goals(task_id, seed)[:num_goals], horizon, obs_dim=6, action_dim=2)
        level, self.turn = min(task_id, _HARDEST), _TURNS[task_id % len(_TURNS)]
        self.radius = 0.12 * 0.8**level
        self.speed = 0.1 * 0.97**level
        self.drift = 0.02 * (1.0 - 0.8**level)
        self.sharpness = 4.0 * 2.5**level
        self._hides_goal = hides_goal
        self._x = self._y = self._target_x = self._target_y = 0.0

    def _start(self, goal: NDArray[np.float64]) -> NDArray[np.float32]:
        self._x, self._y, self._target_x, self._target_y = goal.tolist()
        return self._observe()

    def _advance(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, dict[str, Any]]:
        a, b = action.tolist()
        a, b = _clip(a), _clip(b)
        xx, xy, yx, yy = self.turn
        self._x = _clip(self._x + self.speed * (xx * a + xy * b) + self.drift)
        self._y = _clip(self._y + self.speed * (yx * a + yy * b))
        distance = self._distance()
        success = distance <= self.radius
        # Meta-World's scale: below 10 on the way, 10 in the target.
        reward = 10.0 if success else 8.0 / (1.0 + self.sharpness * distance * distance)
        return self._observe(), reward, {"success": float(success)}

    def _distance(self) -> float:
        return math.hypot(self._target_x - self._x, self._target_y - self._y)

    def _observe(self) -> NDArray[np.float32]:
        x, y, target_x, target_y = self._x, self._y, self._target_x, self._target_y
        if self._hides_goal:
            return np.array((x, y, 0.0, 0.0, 0.0, 0.0), dtype=np.float32)
        return np.array((x, y, target_x, target_y, target_x - x, target_y - y), dtype=np.float32)


def _draw_goals(task_id: int, seed: int) -> NDArray[np.float64]:
    """Draw f64[50, 4]: start and target on opposite sides of the middle, so that doing nothing never succeeds."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_GOALS_STREAM, task_id)))
    angle = rng.uniform(0.0, 2.0 * math.pi, size=50)
    turn = rng.uniform(-0.25 * math.pi, 0.25 * math.pi, size=50)
    near, far = rng.uniform(0.3, 0.8, size=(2, 50))
    start = near * np.array([np.cos(angle), np.sin(angle)])
    target = -far * np.array([np.cos(angle + turn), np.sin(angle + turn)])
    return np.concatenate([start, target]).T


def _clip(value: float) -> float:
    return -1.0 if value < -1.0 else 1.0 if value > 1.0 else value


def _parse(name: str, horizon: int | None) -> Suite:
    match = re.fullmatch(r"toy:(\d+)", name)
    count = int(match[1]) if match else 0
    if not 1 <= count <= MAX_TASKS:
        raise ValueError(f"a toy suite must be toy:N with N from 1 to {MAX_TASKS}, got {name!r}; use toy:4")
    tasks = task_specs([f"toy-{i}" for i in range(count)], "toy", [horizon or HORIZON] * count)
    return Suite(f"toy:{count}", f"toy:{count}", tasks, 6, 2, STEPS_PER_TASK * count)


def _build(request: EnvironmentRequest) -> ToyEnvironment:
    if request.render_mode is not None:
        raise ValueError(
            f"a toy task draws nothing, got render_mode {request.render_mode!r}; use None, "
            "and film tasks of Meta-World or Gymnasium"
        )
    config = request.config
    return ToyEnvironment(
        request.task_id, request.seed, config.num_goals, request.task.horizon, config.partially_observable
    )


FAMILY = Family(_parse, _build)
