"""New priorities on their way to the shards."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from replay_service.plan import ReplayPlan

MakePlan = Callable[..., ReplayPlan]
MakeService = Callable[[ReplayPlan], Any]
UNLIMITED = {"error_buffer": 1e12}


def test_priorities_of_several_batches_reach_their_rows(
    make_plan: MakePlan, make_service: MakeService
) -> None:
    replay = {"num_shards": 2, "capacity_per_task": 32} | UNLIMITED
    service = make_service(make_plan(3, replay, {"priority_exponent": 1.0}, batches_per_call=2))
    service.fill([8, 16, 32])
    batches = service.sample(2)
    priority = [np.round(100 + b.transitions.reward, 3).astype(np.float64) for b in batches]
    service.fill([0, 0, 20])  # overwrites the first 20 rows of task 2
    service.sampler.update_priorities(batches, priority)
    tables = [shard._content.tables for shard in service.shards]
    stale = 0
    for batch, values in zip(batches, priority, strict=True):
        for task, serial, value in zip(
            batch.transitions.task_id, batch.transitions.obs[:, 0], values, strict=True
        ):
            if task == 2 and serial < 20:
                stale += 1
            else:
                assert tables[task % 2]._priority[task // 2, int(serial)] == value
    assert stale > 0 and sum(table.stale_updates for table in tables) == stale
    assert (tables[0]._priority[1, :20] == 1.0).all()  # the new owners of the slots are as they were


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_priorities_are_refused_before_they_are_sent(
    value: float, make_plan: MakePlan, make_service: MakeService
) -> None:
    service = make_service(make_plan(replay=UNLIMITED))
    service.fill([8, 8])
    batch = service.sample()[0]
    with pytest.raises(ValueError, match="task 1: a priority must be finite"):
        service.sampler.update_priorities([batch], [np.array([1.0] * 5 + [value, 1, 1])])


@pytest.mark.parametrize("lengths", [(8, 9), (8, 7), (9, 7), (8,)])
def test_one_priority_per_row_or_nothing_is_set(
    lengths: tuple[int, ...], make_plan: MakePlan, make_service: MakeService
) -> None:
    service = make_service(make_plan(replay=UNLIMITED))
    service.fill([8, 8])
    batches = service.sample(2)
    before = service.shards[0].stats().priority_mass
    with pytest.raises(ValueError, match=rf"\[8, 8\] rows, got \[{', '.join(map(str, lengths))}\]"):
        service.sampler.update_priorities(batches, [np.full(length, 9.0) for length in lengths])
    np.testing.assert_array_equal(service.shards[0].stats().priority_mass, before)


@pytest.mark.parametrize("length", [1, 3])
def test_a_shard_sets_nothing_of_another_length(
    length: int, make_plan: MakePlan, make_service: MakeService
) -> None:
    service = make_service(make_plan())
    service.fill([8, 8])
    before = service.shards[0].stats().priority_mass
    info = service.sample()[0].info
    with pytest.raises(ValueError, match=f"2 keys of 2 rows, got {length}; nothing is set"):
        service.shards[0].update_priorities(np.array([0, 0], np.int32), info.key[:2], np.full(length, 9.0))
    np.testing.assert_array_equal(service.shards[0].stats().priority_mass, before)
