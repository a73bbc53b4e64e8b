"""`stars-dist bench env`: a step of Meta-World, the library's and ours, and what MuJoCo alone needs for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mujoco as untyped_mujoco
import numpy as np
from numpy.typing import NDArray

from actors.config import EnvironmentConfig
from actors.environment import build_environment
from actors.families.metaworld import MetaWorldEnvironment
from actors.metaworld.scripted_policy import scripted_policy
from actors.tasks import Suite

mujoco: Any = untyped_mujoco  # defined in C, of which pyright knows nothing

ACTIONS = ("random", "scripted")
BLOCK_STEPS = 25  # stock, fast and floor take turns in blocks, so that all three see the machine's same moods
RESETS = 4

_STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)


class TaskTiming(NamedTuple):
    """Medians of one task, in microseconds per step; speedup = stock / fast, floor_ratio = fast / floor."""

    name: str
    stock_us: float
    fast_us: float
    floor_us: float
    speedup: float
    floor_ratio: float
    reset_speedup: float


class Moment(NamedTuple):
    """A simulation just before the physics of a step, and where the step led."""

    state: NDArray[np.float64]
    ctrl: NDArray[np.float64]
    mocap_pos: NDArray[np.float64]
    qpos_after: NDArray[np.float64]


def measure(
    suite: Suite, steps: int, seed: int, actions: str, progress: Callable[[TaskTiming], None]
) -> list[TaskTiming]:
    """Time every task of a Meta-World suite over the same actions, for one episode of `steps` steps each."""
    timings = []
    for task in suite.tasks:
        timings.append(_measure_task(suite, task.id, steps, seed, actions))
        progress(timings[-1])
    return timings


def summary(timings: Sequence[TaskTiming]) -> dict[str, Any]:
    """Return the figures as plain data, with the suite's geometric means."""
    return {
        "speedup_geomean": geomean([timing.speedup for timing in timings]),
        "speedup_min": min(timing.speedup for timing in timings),
        "floor_ratio_geomean": geomean([timing.floor_ratio for timing in timings]),
        "tasks": [timing._asdict() for timing in timings],
    }


def _measure_task(suite: Suite, task_id: int, steps: int, seed: int, actions: str) -> TaskTiming:
    stock, fast = (metaworld_environment(suite, task_id, seed, fast) for fast in (False, True))
    try:
        reset_speedup = _reset_speedup(stock, fast)
        obs, _ = stock.reset(options={"goal": 0})
        fast.reset(options={"goal": 0})
        act = _actor(suite.tasks[task_id].name, actions, seed)
        durations: tuple[list[float], list[float], list[float]] = ([], [], [])
        floor = mujoco.MjData(fast.simulation[0])
        for _ in range(max(1, steps // BLOCK_STEPS)):
            taken = []
            for _ in range(BLOCK_STEPS):
                taken.append(act(obs))
                obs, seconds = timed_step(stock, taken[-1])
                durations[0].append(seconds)
            moments = [_fast_step(fast, action, durations[1]) for action in taken]
            durations[2].extend(_floor_step(fast.simulation[0], floor, moment) for moment in moments)
    finally:
        stock.close()
        fast.close()
    stock_us, fast_us, floor_us = (float(np.median(seconds)) * 1e6 for seconds in durations)
    return TaskTiming(
        suite.tasks[task_id].name,
        stock_us,
        fast_us,
        floor_us,
        stock_us / fast_us,
        fast_us / floor_us,
        reset_speedup,
    )


def metaworld_environment(suite: Suite, task_id: int, seed: int, fast: bool) -> MetaWorldEnvironment:
    """Build the library's environment or ours."""
    env = build_environment(suite, task_id, seed, (), EnvironmentConfig(fast=fast))
    assert isinstance(env, MetaWorldEnvironment)
    return env


def _actor(name: str, actions: str, seed: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    if actions == "random":
        return lambda obs: rng.uniform(-1, 1, 4).astype(np.float32)
    return scripted_policy(name)


def timed_step(env: MetaWorldEnvironment, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Step; return the observation and how long it took, in s."""
    started = time.perf_counter()
    obs, *_ = env.step(action)
    return obs, time.perf_counter() - started


def _fast_step(env: MetaWorldEnvironment, action: NDArray[np.float32], durations: list[float]) -> Moment:
    model, data = env.simulation
    state = np.empty(mujoco.mj_stateSize(model, _STATE))
    mujoco.mj_getState(model, data, state, _STATE)
    durations.append(timed_step(env, action)[1])
    return Moment(state, data.ctrl.copy(), data.mocap_pos.copy(), data.qpos.copy())


def _floor_step(model: Any, data: Any, moment: Moment) -> float:
    """Time the physics of a step from the same state: the five sub-steps and the forward that ends it, in s."""
    mujoco.mj_setState(model, data, moment.state, _STATE)
    data.ctrl[:], data.mocap_pos[:] = moment.ctrl, moment.mocap_pos
    started = time.perf_counter()
    mujoco.mj_step(model, data, 5)
    mujoco.mj_forward(model, data)
    seconds = time.perf_counter() - started
    assert np.array_equal(data.qpos, moment.qpos_after), "the floor must repeat the step's own physics"
    return seconds


def _reset_speedup(stock: MetaWorldEnvironment, fast: MetaWorldEnvironment) -> float:
    """Compare resets to goals that have been started before, as nearly all of a run's are."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for goal in [*range(RESETS), *range(RESETS)]:
        for env in (stock, fast):
            started = time.perf_counter()
            env.reset(options={"goal": goal})
            seconds[env is fast].append(time.perf_counter() - started)
    return float(np.median(seconds[False][RESETS:]) / np.median(seconds[True][RESETS:]))


def geomean(values: Sequence[float]) -> float:
    """Compute the geometric mean."""
    return math.exp(sum(math.log(value) for value in values) / len(values))
