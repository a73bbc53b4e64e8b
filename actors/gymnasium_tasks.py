"""Gymnasium environments as tasks: which are registered, and what sizes they have."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

DEFAULT_HORIZON = 1000  # of an environment that is registered without a time limit
EXTRA = "gymnasium_robotics"  # registers its environments when it is imported


class GymnasiumTask(NamedTuple):
    """What a suite must know of one of its tasks."""

    obs_dim: int  # a dictionary of boxes counts as one vector, in the order of its keys
    action_dim: int
    horizon: int


def make_registered(name: str, render_mode: str | None = None) -> Any:
    """The environment as registered, without its time limit: a suite's horizon is its own.

    Raises:
        ValueError: no environment of that name can be made.
    """
    _register_extra(name)
    try:
        return gymnasium.make(name, max_episode_steps=-1, disable_env_checker=True, render_mode=render_mode)
    except (gymnasium.error.Error, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"a task of a gym suite must be a registered Gymnasium environment, got {name!r} ({reason}); the "
            f"Fetch, Hand and Maze environments need the extra: pip install 'stars-dist[robotics]'"
        ) from None


@functools.cache
def gymnasium_task(name: str) -> GymnasiumTask:
    """The sizes of a registered environment.

    Raises:
        ValueError: it does not exist, or its observations or actions are no boxes.
    """
    env = make_registered(name)
    try:
        _check_spaces(name, env)
        registered = gymnasium.spec(_registered_name(name)).max_episode_steps
        obs_dim = spaces.flatdim(env.observation_space)
        return GymnasiumTask(obs_dim, math.prod(env.action_space.shape), registered or DEFAULT_HORIZON)
    finally:
        env.close()


def boxes_of(space: spaces.Space[Any]) -> Sequence[spaces.Space[Any]]:
    return list(space.values()) if isinstance(space, spaces.Dict) else [space]


def _check_spaces(name: str, env: Any) -> None:
    for part in boxes_of(env.observation_space):
        if not isinstance(part, spaces.Box):
            raise ValueError(
                f"a task of a gym suite must observe boxes, or a dictionary of them, got {name} with "
                f"{env.observation_space}; wrap it with an observation of numbers"
            )
    action = env.action_space
    is_box = isinstance(action, spaces.Box) and np.issubdtype(action.dtype, np.floating)
    if not is_box or not action.is_bounded("both"):
        raise ValueError(
            f"a task of a gym suite must have a bounded box of real actions, got {name} with {action}; choose "
            f"one with continuous actions"
        )


def _registered_name(name: str) -> str:
    """Without the module that registers it: `package.module:Environment-v0`."""
    return name.rpartition(":")[2]


def _register_extra(name: str) -> None:
    if _registered_name(name) not in gymnasium.registry and importlib.util.find_spec(EXTRA) is not None:
        importlib.import_module(EXTRA)
