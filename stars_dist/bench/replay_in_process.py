"""The replay in one process: beside cpprb, inserts in memory and mapped, growth, and the stall of a snapshot."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from replay_service.shard import Shard
from stars_dist.bench.replay_load import (
    ACTION_DIM,
    OBS_DIM,
    Cycle,
    Feed,
    alternated,
    bench_plan,
    filled_shard,
)

NUM_TASKS, CAPACITY, ROWS_PER_TASK = 10, 100_000, 128
TRANSITIONS = (1_000, 10_000, 100_000, 1_000_000)  # of one table
TABLES = (10, 32, 100, 320, 1000)  # with this many transitions in all of them together
TRANSITIONS_OF_TABLES = 1_000_000
GROWTH_ROWS = {"transitions": 1280, "tables": 2000}


class CycleTimes(NamedTuple):
    """Sample, weights and update of one batch of 10 x 128 rows from 10 x 100,000."""

    cycle_ms: float
    cpprb_cycle_ms: float | None  # None: cpprb is not installed


class GrowthPoint(NamedTuple):
    """The same number of rows from replays of different sizes."""

    axis: str  # what grows: transitions (of one table) or tables
    tables: int
    transitions: int  # all tables together
    rows: int
    cycle_ms: float
    uniform_ms: float  # a plain uniform draw of as many rows, without priorities


def measure_cycles(rounds: int) -> CycleTimes:
    """Time a cycle beside cpprb's, in turn."""
    rng = np.random.default_rng(0)
    plan = bench_plan(NUM_TASKS, CAPACITY, ROWS_PER_TASK)
    steps: dict[str, Callable[[], object]] = {"ours": Cycle(plan, filled_shard(plan, rng), rng)}
    theirs = _cpprb_cycle(rng)
    if theirs is not None:
        steps["cpprb"] = theirs
    times = alternated(steps, rounds, 50)
    return CycleTimes(times["ours"], times.get("cpprb"))


def _cpprb_cycle(rng: np.random.Generator) -> Callable[[], object] | None:
    """Build the same work with a buffer per task; the rows are left in ten pieces, which favours cpprb."""
    try:
        import cpprb  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        return None
    shapes = {"obs": OBS_DIM, "action": ACTION_DIM, "reward": 1, "next_obs": OBS_DIM, "terminated": 1}
    fields = {name: {"shape": size} for name, size in shapes.items()}
    buffers: list[Any] = [
        cpprb.PrioritizedReplayBuffer(CAPACITY, fields, alpha=0.6) for _ in range(NUM_TASKS)
    ]
    for buffer in buffers:
        buffer.add(**{name: rng.random((CAPACITY, size)) for name, size in shapes.items()})
        buffer.update_priorities(np.arange(CAPACITY), rng.exponential(size=CAPACITY) + 1e-6)
    td_error = np.abs(rng.standard_normal((NUM_TASKS, ROWS_PER_TASK)))

    def cycle() -> None:
        samples = [buffer.sample(ROWS_PER_TASK, beta=0.4) for buffer in buffers]
        for buffer, sample, priority in zip(buffers, samples, td_error, strict=True):
            buffer.update_priorities(sample["indexes"], priority)

    return cycle


def measure_inserts(rounds: int) -> dict[str, float]:
    """Measure the transitions per second in chunks of 500, into full tables, by storage."""
    with tempfile.TemporaryDirectory(prefix="replay-bench-") as directory:
        steps: dict[str, Callable[[], object]] = {}
        shards: list[Shard] = []
        for storage in ("memory", "mapped"):
            rng = np.random.default_rng(0)
            plan = bench_plan(NUM_TASKS, 20_000, ROWS_PER_TASK, storage)
            shards.append(Shard(0, plan, Path(directory)))
            shards[-1].set_insert_limit(0, 10**12)
            feed = Feed(plan, rng)
            for _ in range(plan.replay.capacity_per_task // plan.chunk_steps):
                feed.round(shards[-1])
            steps[storage] = lambda feed=feed, shard=shards[-1]: feed.round(shard)
        times = alternated(steps, rounds, 20)
        for shard in shards:
            shard.close()
    return {storage: NUM_TASKS * plan.chunk_steps / ms * 1e3 for storage, ms in times.items()}


def measure_growth(rounds: int) -> list[GrowthPoint]:
    """Time a cycle while first transitions, then tables grow."""
    points = [_growth_point("transitions", 1, size, rounds) for size in TRANSITIONS]
    return points + [
        _growth_point("tables", tables, TRANSITIONS_OF_TABLES // tables, rounds) for tables in TABLES
    ]


def _growth_point(axis: str, tables: int, capacity: int, rounds: int) -> GrowthPoint:
    rng = np.random.default_rng(0)
    rows = GROWTH_ROWS[axis]
    plan = bench_plan(tables, capacity, rows // tables)
    shard = filled_shard(plan, rng)
    record = np.dtype((np.void, 336))  # a transition's bytes
    uniform = np.zeros(tables * capacity, record)
    uniform.view(np.uint8)[:] = 1

    def draw_uniformly() -> None:
        table = np.repeat(np.arange(tables), plan.batch_size // tables)
        uniform.take(table * capacity + rng.integers(capacity, size=len(table)))

    times = alternated({"cycle": Cycle(plan, shard, rng), "uniform": draw_uniformly}, rounds, 30)
    return GrowthPoint(
        axis, tables, tables * capacity, plan.batch_size, round(times["cycle"], 3), round(times["uniform"], 3)
    )


def measure_snapshot_stall(min_samples: int) -> dict[str, float]:
    """Measure a cycle's 99th percentile in ms, at rest and while snapshots of 1 M rows are written."""
    rng = np.random.default_rng(0)
    plan = bench_plan(NUM_TASKS, CAPACITY, ROWS_PER_TASK)
    shard = filled_shard(plan, rng)
    cycle = Cycle(plan, shard, rng)
    rest = _latencies_ms(cycle, lambda count: count < min_samples)
    with tempfile.TemporaryDirectory(prefix="replay-bench-") as directory, _writing(shard, directory) as done:
        busy = _latencies_ms(cycle, lambda count: not done.is_set())
    return {
        "rest_p99_ms": float(np.percentile(rest, 99)),
        "snapshot_p99_ms": float(np.percentile(busy, 99)),
        "snapshot_max_ms": float(busy.max()),
    }


@contextmanager
def _writing(shard: Shard, directory: str) -> Iterator[threading.Event]:
    """Write snapshots in a thread; the event is set after the last."""
    done = threading.Event()

    def write() -> None:
        for number in range(2):
            path = Path(directory) / str(number)
            path.mkdir()
            shard.write_snapshot(path)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    yield done
    thread.join()


def _latencies_ms(cycle: Callable[[], object], go_on: Callable[[int], bool]) -> np.ndarray:
    times: list[float] = []
    while go_on(len(times)):
        start = time.perf_counter()
        cycle()
        times.append((time.perf_counter() - start) * 1e3)
    return np.array(times)
