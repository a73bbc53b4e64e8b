"""The 50 goals of each Meta-World task for a seed: those of MT10(seed), MT25(seed), MT50(seed), computed faster.

Meta-World draws the goals of a benchmark by resetting its environments one after another and keeping the
random vectors of the resets, all from one legacy random stream. The vectors and how many are drawn depend on
earlier vectors alone, never on the simulation, so here the resets run without physics.
"""

from __future__ import annotations

import functools
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.metaworld.benchmarks import benchmark_tasks
from actors.metaworld.headless_model import headless_class
from actors.near_name import did_you_mean
from replay_service.atomic_file import atomic_file

GOALS_PER_TASK = 50

Goals = Mapping[str, NDArray[np.float64]]  # task name -> f64[50, D], D is 3 or 6


def benchmark_goals(benchmark: str, names: Sequence[str], seed: int, path: Path | None = None) -> Goals:
    """Compute the goals of the named tasks of `mt10`, `mt25`, `mt50`; with `mt1` each has those of MT1(name, seed).

    `path` names a file that keeps them, so that one process computes the goals and all others read them.

    Raises:
        ValueError: a task that is not in the benchmark, or a file that is damaged or has other goals.
    """
    kept = _read(path, benchmark, seed) if path is not None and path.exists() else {}
    if all(name in kept for name in names):
        return {name: kept[name] for name in names}
    if benchmark == "mt1":
        goals = {name: _draw_in_turn((name,), seed)[name] for name in names}
    else:
        known = benchmark_tasks(benchmark)
        _check_names(names, known, benchmark)
        goals = _draw_in_turn(known, seed)
    if path is not None:
        _write(path, benchmark, seed, {**kept, **goals})
    return {name: goals[name] for name in names}


@functools.cache
def _draw_in_turn(names: tuple[str, ...], seed: int) -> dict[str, NDArray[np.float64]]:
    """Draw the goals of the tasks in this order, from the one stream that `np.random.seed(seed)` would start."""
    stream = np.random.RandomState(seed)  # the very generator that Meta-World draws from
    goals = {name: _draw(name, stream.uniform) for name in names}
    for array in goals.values():
        array.flags.writeable = False
    return goals


def _draw(name: str, uniform: Callable[..., NDArray[np.float64]]) -> NDArray[np.float64]:
    import metaworld.env_dict as env_dict

    env: Any = headless_class(env_dict.ALL_V3_ENVIRONMENTS[name])()
    drawn: list[NDArray[np.float64]] = []

    def next_vector() -> NDArray[np.float64]:
        space = env._random_reset_space
        drawn.append(uniform(space.low, space.high, size=space.low.size))
        return drawn[-1].copy()

    # This instance alone is changed, then thrown away: its resets draw from our stream and simulate nothing.
    env._get_state_rand_vec = next_vector
    env.do_simulation = lambda *_, **__: None
    env.set_state = lambda *_, **__: None
    goals = []
    for _ in range(GOALS_PER_TASK):
        env.reset_model()
        env.reset_model()  # Meta-World's reset() calls it twice and the second vector stays
        goals.append(drawn[-1])
    env.close()
    return np.array(goals)


def _check_names(names: Sequence[str], known: Sequence[str], benchmark: str) -> None:
    for name in names:
        if name not in known:
            near = did_you_mean(name, known)
            raise ValueError(
                f"task must be one of benchmark {benchmark}, got {name!r}{near}; use one of its tasks"
            )


def _read(path: Path, benchmark: str, seed: int) -> dict[str, NDArray[np.float64]]:
    try:
        with np.load(path, allow_pickle=False) as kept:
            arrays = {key: kept[key] for key in kept.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"a file of goals must be readable, got {path} ({error}); delete it") from error
    made_for = str(arrays.pop("made_for", ""))
    if made_for != f"{benchmark} {seed}":
        raise ValueError(
            f"a file of goals must belong to benchmark {benchmark} and seed {seed}, got {path} of "
            f"{made_for!r}; delete it or name another"
        )
    return arrays


def _write(path: Path, benchmark: str, seed: int, goals: Goals) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, made_for=np.array(f"{benchmark} {seed}"), **dict(goals))
