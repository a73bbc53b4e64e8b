"""The film of an episode: every few steps a captioned picture, until a moment after its success."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from actors.environment import build_environment
from actors.policy import NumpyPolicy
from stars_dist.errors import checking_input
from stars_dist.rendering.picture import Picture, painter
from stars_dist.video.caption import Caption, captioned
from stars_dist.video.shown_policy import ShownPolicy

STEPS_PER_FRAME = 4
FRAMES_PER_S = 20  # Meta-World makes 80 steps per second
FRAMES_AFTER_SUCCESS = 20


class Film(NamedTuple):
    """One episode as pictures and as figures."""

    task: str
    frames: list[Picture]
    steps: int
    return_: float
    success_step: int | None  # None: no success, or no flag
    has_flag: bool

    @property
    def outcome(self) -> str:
        """How the episode went, in words."""
        if self.success_step is not None:
            return f"success at step {self.success_step}"
        return "no success" if self.has_flag else "no success flag"


def film_episode(policy: ShownPolicy, task: str, goal: int, size: int) -> Film:
    """Run the mode action from a goal and draw it."""
    spec = policy.suite.task(task)
    act = NumpyPolicy(policy.weights, (spec.id,), policy.suite.obs_dim)
    with checking_input():  # whether a task can be drawn its environment alone knows
        env = build_environment(
            policy.suite, spec.id, policy.seed, (), policy.environment, render_mode="rgb_array"
        )
    frames: list[Picture] = []
    return_, step, success_step, has_flag, is_over = 0.0, 0, None, False, False
    try:
        obs, _ = env.reset(options={"goal": goal % len(env.goals)})
        with painter(env, size) as paint:
            while True:
                last = success_step + FRAMES_AFTER_SUCCESS * STEPS_PER_FRAME if success_step else spec.horizon
                is_over = is_over or step >= last
                if step % STEPS_PER_FRAME == 0 or is_over:
                    outcome = _outcome(success_step, has_flag and is_over)
                    frames.append(captioned(paint(), Caption(task, step, return_, outcome)))
                if is_over:
                    break
                obs, reward, terminated, truncated, info = env.step(act.act(obs[None])[0])
                step, return_ = step + 1, return_ + reward
                has_flag = has_flag or "success" in info
                if success_step is None and info.get("success", 0.0) > 0:
                    success_step = step
                is_over = terminated or truncated
    finally:
        env.close()
    frames += [frames[-1]] * (0 if success_step else FRAMES_PER_S // 2)
    return Film(task, frames, step, return_, success_step, has_flag)


def _outcome(success_step: int | None, failed: bool) -> str | None:
    if success_step is not None:
        return f"success at step {success_step}"
    return "no success" if failed else None


def side_by_side(films: list[Film]) -> list[Picture]:
    """Tile films in a grid, nearly square; one that is over keeps its last picture."""
    columns = int(np.ceil(np.sqrt(len(films))))
    rows = int(np.ceil(len(films) / columns))
    blank = np.zeros_like(films[0].frames[0])
    length = max(len(film.frames) for film in films)
    tiled = []
    for moment in range(length):
        cells = [film.frames[min(moment, len(film.frames) - 1)] for film in films]
        cells += [blank] * (rows * columns - len(cells))
        lines = [np.concatenate(cells[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
        tiled.append(np.concatenate(lines, axis=0))
    return tiled
