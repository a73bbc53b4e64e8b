"""`stars-dist bench env --peer envpool`: a step of ours beside a step of EnvPool's port of Meta-World to C++.

CPU time is what is compared, of all threads of this process: it is what an actor's core can be used for, other programs
on the machine do not count, and neither does the time for which a call of EnvPool waits for its own thread.
"""

from __future__ import annotations

import importlib.metadata
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actors.families.metaworld import MetaWorldEnvironment
from actors.tasks import Suite
from stars_dist.bench.env import BLOCK_STEPS, geomean, metaworld_environment

BATCH = 8  # environments of EnvPool's second measurement, over which its calls are spread
ACTION_DIM = 4


class PeerTiming(NamedTuple):
    """Medians of one task, in microseconds of CPU time per step of one environment, which one thread steps."""

    name: str
    ours_us: float
    envpool_us: float
    envpool_batch_us: float  # of BATCH environments that one call steps
    speedup: float  # envpool / ours, one environment each
    speedup_batch: float  # envpool in batches / ours, one by one


def check_installed() -> None:
    """Check that EnvPool has Meta-World; ValueError with the remedy otherwise."""
    try:
        from envpool.mujoco.metaworld import registration  # noqa: F401 -- of recent versions only  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            f"--peer envpool needs an EnvPool with Meta-World, which does not load ({error}); "
            "pip install 'stars-dist[bench]'"
        ) from None


def measure(suite: Suite, steps: int, seed: int, progress: Callable[[PeerTiming], None]) -> list[PeerTiming]:
    """Time every task over the same random actions; ours and EnvPool's take turns in blocks."""
    timings = []
    for task in suite.tasks:
        timings.append(_measure_task(suite, task.id, steps, seed))
        progress(timings[-1])
    return timings


def summary(timings: Sequence[PeerTiming]) -> dict[str, Any]:
    """Return the figures as plain data, with the suite's geometric means."""
    return {
        "peer": f"envpool {importlib.metadata.version('envpool')}",
        "batch": BATCH,
        "speedup_geomean": geomean([timing.speedup for timing in timings]),
        "speedup_batch_geomean": geomean([timing.speedup_batch for timing in timings]),
        "tasks": [timing._asdict() for timing in timings],
    }


def table(timings: Sequence[PeerTiming]) -> str:
    """Format the timings as a Markdown table, which a terminal shows as well."""
    lines = [
        f"| task | ours, CPU us | EnvPool, CPU us | ratio | EnvPool, CPU us, batch of {BATCH} | ratio |",
        "| --- |" + " ---: |" * 5,
    ]
    lines += [
        f"| {t.name} | {t.ours_us:.0f} | {t.envpool_us:.0f} | {t.speedup:.2f} "
        f"| {t.envpool_batch_us:.0f} | {t.speedup_batch:.2f} |"
        for t in timings
    ]
    found = summary(timings)
    return "\n".join(
        [
            *lines,
            "",
            f"{found['peer']} takes {found['speedup_geomean']:.2f} times the CPU time of ours for a step of one "
            f"environment, and {found['speedup_batch_geomean']:.2f} times in batches of {BATCH} "
            f"(geometric means over {len(timings)} tasks; above 1 ours is faster).",
        ]
    )


def peer_page(directory: Path, timings: Sequence[PeerTiming], made_by: Mapping[str, Any]) -> None:
    """Write `env-envpool.json` and `.md`, which hold how they were made."""
    directory.mkdir(parents=True, exist_ok=True)
    record = {**summary(timings), "made_by": dict(made_by)}
    (directory / "env-envpool.json").write_text(json.dumps(record, indent=1) + "\n")
    versions = ", ".join(f"{name} {made_by['versions'][name]}" for name in ("metaworld", "mujoco", "numpy"))
    (directory / "env-envpool.md").write_text(
        f"# A step beside EnvPool's port to C++\n\n`{made_by['command']}`, commit {made_by['commit']}, seed "
        f"{made_by['seed']}, {record['peer']}, {versions}, Python {made_by['python']}, {made_by['started']}.\n\n"
        "Medians under uniform random actions, one thread that steps; CPU time of the whole process, so that other "
        "programs of the machine do not count. EnvPool's calls include the hand-over to its own thread, which a batch "
        "shares, and not the wait for it. EnvPool has a MuJoCo of its own and draws its goals anew; ours gives the "
        f"library's own bits and the benchmark's goals.\n\n{table(timings)}\n"
    )


def _measure_task(suite: Suite, task_id: int, steps: int, seed: int) -> PeerTiming:
    name = suite.tasks[task_id].name
    ours = metaworld_environment(suite, task_id, seed, fast=True)
    pools = [_pool(name, count, seed) for count in (1, BATCH)]
    durations: tuple[list[float], list[float], list[float]] = ([], [], [])
    rng = np.random.default_rng(seed)
    try:
        ours.reset(options={"goal": 0})
        for _ in range(max(1, steps // BLOCK_STEPS)):
            actions = rng.uniform(-1, 1, (BLOCK_STEPS, ACTION_DIM)).astype(np.float32)
            _time_ours(ours, actions, durations[0])
            for pool, count, seconds in zip(pools, (1, BATCH), durations[1:], strict=True):
                _time_pool(pool, count, actions, seconds)
    finally:
        ours.close()
        for pool in pools:
            pool.close()
    ours_us, alone_us, batch_us = (float(np.median(seconds)) * 1e6 for seconds in durations)
    return PeerTiming(name, ours_us, alone_us, batch_us, alone_us / ours_us, batch_us / ours_us)


def _pool(name: str, count: int, seed: int) -> Any:
    import envpool  # pyright: ignore[reportMissingImports] -- comes with the bench extra
    from envpool.mujoco.metaworld.registration import metaworld_task_id  # pyright: ignore[reportMissingImports]

    pool: Any = envpool.make_gymnasium(metaworld_task_id(name), num_envs=count, num_threads=1, seed=seed)
    pool.reset()
    return pool


def _time_ours(env: MetaWorldEnvironment, actions: NDArray[np.float32], durations: list[float]) -> None:
    for action in actions:
        started = time.process_time()
        env.step(action)
        durations.append(time.process_time() - started)


def _time_pool(pool: Any, count: int, actions: NDArray[np.float32], durations: list[float]) -> None:
    """Step all environments of a pool by the same actions; the duration of a call is shared among them."""
    for action in actions:
        batch = np.tile(action, (count, 1))
        started = time.process_time()
        pool.step(batch)
        durations.append((time.process_time() - started) / count)
