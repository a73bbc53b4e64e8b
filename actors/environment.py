"""The environment of one task, whatever its family."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actors.config import EnvironmentConfig
from actors.families.family import EnvironmentRequest, RenderMode
from actors.goal_environment import GoalEnvironment
from actors.near_name import did_you_mean
from actors.suites import family_of, parse_suite
from actors.tasks import Suite


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
    """Make the Gymnasium environment of a task; `reset(options={"goal": i})` starts goal i of 50.

    Args:
        name: the task, for example "push-v3" or "toy-0".
        benchmark: whose goals: "mt1" (the task's own), "mt10", "mt25", "mt50", or the name of a suite.
        seed: decides the goals, the same in every process.
        stream: decides which goals are drawn when reset names none; give every actor its own.
        config: horizon, number of goals, noise, Meta-World's reward version and more.
        goals_path: file that keeps the benchmark's goals; without it they are computed (about 6 s for mt50).
        render_mode: as in Gymnasium; "rgb_array" needs an OpenGL that MuJoCo can use.
        fast: step Meta-World by our faster evaluation or by the library's own; None asks the config.

    Raises:
        ValueError: no task or benchmark of that name; the message has the nearest one.
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
    """Build the environment of one task of a parsed suite, with its noise and its random stream.

    Arguments as in `make_environment`.
    """
    request = EnvironmentRequest(suite, task_id, seed, config, goals_path, render_mode)
    env = family_of(suite).build(request)
    env.observation_noise, env.reward_noise = config.observation_noise, config.reward_noise
    env.np_random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(task_id, *stream)))
    return env


def _suite_of(name: str, benchmark: str, horizon: int | None) -> Suite:
    if benchmark != "mt1":
        return parse_suite(benchmark, horizon)
    from actors.metaworld.benchmarks import benchmark_tasks

    known = benchmark_tasks("mt1")
    if name not in known:
        raise ValueError(f"task must be one of Meta-World's, got {name!r}{did_you_mean(name, known)}")
    return parse_suite(name, horizon)
