"""CPU time of the parts of a run that can be counted in one process: the replay's work per row, and a heartbeat's."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from actors.sync import ActorStats
from replay_service.rows import row_dtype
from stars_dist.bench.replay_load import Cycle, Feed, bench_plan, filled_shard
from stars_dist.cluster.coordinator import Coordinator

TASKS, CAPACITY, ROWS_PER_TASK = 10, 20_000, 128


class PartCosts(NamedTuple):
    """CPU microseconds, of one thread, and bytes; observations and actions as Meta-World has them."""

    row_bytes: int  # of a transition, on the way and on the disk
    insert_us: float  # per transition, in chunks
    draw_us: float  # per row: drawn, weighted, merged into a batch, its priority brought back
    heartbeat_us: float  # of the coordinator, per call, with so many actors; messages packed and unpacked
    actors: int
    collect_ms: float  # of the driver's call for all heartbeats, once a second

    def __str__(self) -> str:
        """Format the figures for a terminal."""
        return "\n".join(
            [
                f"transition                       {self.row_bytes:8d} bytes",
                f"stored                           {self.insert_us:8.2f} CPU us",
                f"drawn and its priority returned  {self.draw_us:8.2f} CPU us per row",
                f"heartbeat of one of {self.actors:5d} actors {self.heartbeat_us:8.1f} CPU us, one a second each",
                f"all heartbeats to the driver     {self.collect_ms:8.1f} CPU ms, once a second",
            ]
        )


def measure(actors: int, repeats: int = 30) -> PartCosts:
    """Count each part in this process."""
    rng = np.random.default_rng(0)
    plan = bench_plan(TASKS, CAPACITY, ROWS_PER_TASK)
    shard = filled_shard(plan, rng)
    feed, cycle = Feed(plan, rng), Cycle(plan, shard, rng)
    for _ in range(-(-CAPACITY // plan.chunk_steps)):
        feed.round(shard)  # chunks that the shard knows already
    steps_per_round = TASKS * plan.chunk_steps
    heartbeat_s, collect_s = _coordinator(actors)
    return PartCosts(
        row_dtype(plan.spec).itemsize,
        1e6 * _cpu_s(lambda: feed.round(shard), repeats) / steps_per_round,
        1e6 * _cpu_s(cycle, repeats) / plan.batch_size,
        1e6 * heartbeat_s,
        actors,
        1e3 * collect_s,
    )


def _coordinator(actors: int) -> tuple[float, float]:
    """Count a heartbeat and the collection of all, each with its messages packed and unpacked as Ray would."""
    coordinator = Coordinator()
    messages = [
        pickle.dumps(ActorStats(actor, 0, 1000, 10, 0, 500, 1.0, 1.0, 1.0, 1.0)) for actor in range(actors)
    ]

    def second() -> None:
        for message in messages:
            pickle.dumps(coordinator.heartbeat(pickle.loads(message)))

    def collect() -> None:
        pickle.loads(pickle.dumps(coordinator.collect_heartbeats({})))

    return _cpu_s(second, 10) / actors, _cpu_s(collect, 10)


def _cpu_s(work: Callable[[], object], repeats: int) -> float:
    work()
    started = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - started) / repeats
