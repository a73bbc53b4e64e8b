"""The admission of chunks to a shard: stored once, up to the limit, and refused when they are too late."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import Chunk
from tests.replay_service.test_shard import ANY, open_shard, total

MakePlan = Callable[..., ReplayPlan]
MakeChunk = Callable[..., Chunk]


def test_retries_in_any_order_are_stored_once(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    """Three actors, each chunk sent three times, shuffled: stored at the first, recognised at the others."""
    rng = np.random.default_rng(0)
    shard = open_shard(make_plan(replay={"capacity_per_task": 1000}))
    chunks = [
        make_chunk(task, 2, seq, actor=actor) for task in (0, 1) for actor in range(3) for seq in range(20)
    ]
    statuses: dict[Any, list[str]] = {}
    for i in rng.permutation(np.repeat(np.arange(len(chunks)), 3)):
        name = (chunks[i].id, int(chunks[i].transitions.task_id[0]))
        statuses.setdefault(name, []).append(shard.insert(chunks[i], 0.0).status)
    assert all(seen == ["stored", "duplicate", "duplicate"] for seen in statuses.values())
    assert total(shard) == [120, 120]
    assert shard.stats().duplicate_chunks == 240


def test_a_superseded_incarnation_is_closed_and_the_newest_keeps_its_chunks(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    shard = open_shard(make_plan())
    assert shard.insert(make_chunk(0, 2, 0, incarnation=1), 0.0).status == "stored"
    assert shard.insert(make_chunk(0, 2, 1, incarnation=0), 0.0).status == "closed"
    assert shard.insert(make_chunk(0, 2, 0, incarnation=1), 0.0).status == "duplicate"
    assert total(shard) == [2, 0]


@pytest.mark.parametrize(
    ("limit", "before", "rows", "status"),
    [
        pytest.param(20, 16, 4, "stored", id="up to the limit"),
        pytest.param(20, 17, 4, "wait", id="past the limit"),
        pytest.param(0, 7, 4, "stored", id="a table below the warm-up is always filled"),
        pytest.param(0, 8, 4, "wait", id="a warm table is not"),
        pytest.param(50, 48, 4, "stored", id="the chunk that crosses the step budget is stored whole"),
        pytest.param(49, 48, 4, "wait", id="the crossing chunk still needs a limit at the budget"),
        pytest.param(ANY, 50, 4, "closed", id="budget used up"),
    ],
)
def test_admission(
    limit: int, before: int, rows: int, status: str, make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    shard = open_shard(make_plan(replay={"capacity_per_task": 64}, total_steps=100))
    shard.insert(make_chunk(0, before, 0), 0.0)
    shard.set_insert_limit(5, limit)
    ack = shard.insert(make_chunk(0, rows, 1), 0.0)
    assert (ack.status, ack.learner_steps) == (status, 5)
    assert total(shard) == [before + rows * (status == "stored"), 0]
    assert total(open_shard(make_plan())) == [0, 0]


def test_before_the_samplers_first_call_the_limit_is_that_of_a_run_without_samples(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    plan = make_plan()  # warm-up 8 per task, error buffer 48 rows at spi 4: 12 inserts, 6 per task
    shard = Shard(0, plan)
    statuses = [shard.insert(make_chunk(0, 2, i), 0.0).status for i in range(8)]
    assert statuses == ["stored"] * 7 + ["wait"]


def test_a_waiting_insert_goes_on_when_the_limit_rises(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    shard = open_shard(make_plan(), insert_limit=8)
    shard.insert(make_chunk(0, 8, 0), 0.0)
    statuses: list[str] = []
    waiting = [
        threading.Thread(
            target=lambda i=i: statuses.append(shard.insert(make_chunk(0, 2, 1 + i // 2), 60.0).status)
        )
        for i in range(4)  # two chunks, each with a retry that waits beside it
    ]
    for thread in waiting:
        thread.start()
    time.sleep(0.05)
    assert not statuses and total(shard) == [8, 0]
    shard.set_insert_limit(1, 12)
    for thread in waiting:
        thread.join(5)  # far less than the inserts would wait by themselves
    assert sorted(statuses) == ["duplicate", "duplicate", "stored", "stored"]
    assert total(shard) == [12, 0]
