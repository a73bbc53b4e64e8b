"""Registered Gymnasium environments: made quietly, refused in one line, measured for a suite."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import io
import math
import re
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

from actors.near_name import did_you_mean

DEFAULT_HORIZON = 1000  # of an environment that is registered without a time limit
EXTRA = "gymnasium_robotics"  # registers its environments when it is imported
NO_BOUND = 1e10  # a bound that stands for none, as the 3.4e38 of a float's greatest value


class TaskSizes(NamedTuple):
    """What a suite must know of one of its tasks."""

    obs_dim: int  # a dictionary of boxes counts as one vector, in the order of its keys
    action_dim: int
    horizon: int


def make_registered(name: str, render_mode: str | None = None) -> Any:
    """Make an environment as it is registered, without its time limit: a suite's horizon is its own.

    Raises:
        ValueError: no environment of that name can be made; one line says why, without what its library prints.
    """
    drawing = {} if render_mode is None else {"render_mode": render_mode}
    try:
        with _quietly():
            _register_extra(name)
            _check_version(name)
            return gymnasium.make(name, max_episode_steps=-1, disable_env_checker=True, **drawing)
    except Exception as error:  # whatever its constructor raises
        raise ValueError(_why_not_made(name, render_mode, error)) from None


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what libraries print and warn of while an environment is made."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _check_version(name: str) -> None:
    """Check that a name says its version, or what it stands for changes with the library."""
    own = _registered_name(name)
    if ":" in name or own in gymnasium.registry or re.search(r"-v\d+$", own):
        return
    versions = [found for found in gymnasium.registry if re.fullmatch(rf"{re.escape(own)}-v\d+", found)]
    if versions:
        newest = max(versions, key=lambda found: int(found.rpartition("-v")[2]))
        raise ValueError(f"it names no version; use {newest}")


def _why_not_made(name: str, render_mode: str | None, error: Exception) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, TypeError) and render_mode is not None and "render_mode" in reason:
        return f"a task is drawn by its environment, and {name} takes no render_mode; choose another to draw"
    if isinstance(error, gymnasium.error.DependencyNotInstalled):
        return f"a task of a gym suite must have what its environment needs installed, got {name!r}: {reason}"
    if isinstance(error, gymnasium.error.Error | ImportError | ValueError):
        known = gymnasium.registry if isinstance(error, gymnasium.error.NameNotFound) else ()
        near = did_you_mean(_registered_name(name), known)
        rule = f"a task of a gym suite must be a registered Gymnasium environment, got {name!r}{near}"
        return f"{rule} ({reason}){_extra(name)}"
    return (
        f"a task of a gym suite must be one that can be made, {name} raises {type(error).__name__}: {reason}"
    )


def _extra(name: str) -> str:
    needs = re.match(r"(Fetch|Hand|Adroit|PointMaze|AntMaze|Franka)", _registered_name(name))
    is_missing = importlib.util.find_spec(EXTRA) is None
    return "; it needs the extra: pip install 'stars-dist[robotics]'" if needs and is_missing else ""


@functools.cache
def task_sizes(name: str) -> TaskSizes:
    """Find the sizes of a registered environment.

    Raises:
        ValueError: it does not exist, or its observations or actions are no boxes.
    """
    env = make_registered(name)
    try:
        _check_spaces(name, env)
        registered = gymnasium.spec(_registered_name(name)).max_episode_steps
        obs_dim = spaces.flatdim(env.observation_space)
        return TaskSizes(obs_dim, math.prod(env.action_space.shape), registered or DEFAULT_HORIZON)
    finally:
        env.close()


def _check_spaces(name: str, env: Any) -> None:
    observed = env.observation_space
    for part in observed.values() if isinstance(observed, spaces.Dict) else [observed]:
        if not isinstance(part, spaces.Box):
            raise ValueError(
                f"a task of a gym suite must observe boxes, or a dictionary of them, got {name} with "
                f"{observed}; wrap it with an observation of numbers"
            )
    action = env.action_space
    is_box = isinstance(action, spaces.Box) and np.issubdtype(action.dtype, np.floating)
    if (
        not is_box
        or not action.is_bounded("both")
        or max(np.abs([action.low, action.high]).ravel()) > NO_BOUND
    ):
        raise ValueError(
            f"a task of a gym suite must have a box of real actions with bounds below {NO_BOUND:g}, got {name} with "
            f"{action}; choose one with continuous actions, or wrap it with bounds that it acts within"
        )


def _registered_name(name: str) -> str:
    """Strip the module that registers it: `package.module:Environment-v0`."""
    return name.rpartition(":")[2]


def _register_extra(name: str) -> None:
    if _registered_name(name) not in gymnasium.registry and importlib.util.find_spec(EXTRA) is not None:
        importlib.import_module(EXTRA)
