"""A copied replay goes on bit for bit, and copies share what cannot change any more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replay_service import replay_copy
from replay_service.replay_copy import check_capacity, read_replay, write_replay
from replay_service.shard import Shard


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_copy, "BLOCK_ROWS", 8)


def go_on(service: Any, rounds: int) -> list[np.ndarray]:
    """Insert, draw and set priorities; return all that was drawn."""
    drawn = []
    for number in range(rounds):
        service.fill([3 + number % 2, 4], [number % 2, None])
        (batch,) = service.sample()
        service.sampler.update_priorities([batch], [np.abs(batch.transitions.reward) + 0.3])
        drawn += [batch.transitions.obs.copy(), batch.is_weight, batch.info.probability]
    return drawn


def stats_of(service: Any) -> list[Any]:
    return [
        value for shard in service.shards for value in shard.stats()._replace(incarnation=0, process_name="")
    ]


def assert_same(one: list[Any], other: list[Any]) -> None:
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("rounds", [3, 7, 25], ids=["not full", "nearly full", "wrapped"])
@pytest.mark.parametrize("num_shards", [1, 2])
def test_goes_on_as_the_original(
    rounds: int, num_shards: int, tmp_path: Path, make_plan: Callable, make_service: Callable
) -> None:
    plan = make_plan(replay={"capacity_per_task": 29, "num_shards": num_shards, "warmup_steps_per_task": 1})
    original, copied = make_service(plan), make_service(plan)
    go_on(original, rounds)
    write_replay(original.shards, tmp_path / "copy", None)
    go_on(copied, rounds + 4)  # whatever it held is replaced
    read_replay(copied.shards, tmp_path / "copy")
    copied.sequence = original.sequence
    copied.sampler.load_state_dict(original.sampler.state_dict(0))
    original.sampler.load_state_dict(original.sampler.state_dict(0))
    original.sampler.refresh(0)
    copied.sampler.refresh(0)
    assert_same(stats_of(original), stats_of(copied))
    assert_same(go_on(original, 12), go_on(copied, 12))
    assert_same(stats_of(original), stats_of(copied))


def test_full_blocks_are_links_and_last_as_long_as_a_copy_needs_them(
    tmp_path: Path, make_plan: Callable, make_service: Callable
) -> None:
    service = make_service(make_plan())
    names = []
    for number in range(12):
        service.fill([5, 5])
        before = tmp_path / f"copy-{number - 1}" if number else None
        write_replay(service.shards, tmp_path / f"copy-{number}", before)
        names.append({path.name for path in (tmp_path / f"copy-{number}" / "task-0").iterdir()})
    assert names[0] == {"rows-0-5.npy"}
    assert names[1] == {"rows-0-8.npy", "rows-8-10.npy"}
    assert "rows-24-32.npy" in names[7] and "rows-0-8.npy" not in names[-1]
    linked = tmp_path / "copy-7" / "task-0" / "rows-24-32.npy"
    assert linked.stat().st_nlink > 1
    other = make_service(make_plan())
    read_replay(other.shards, tmp_path / "copy-11")
    rows = [shard.tables.copy_rows(0, 28, 32) for shard in (service.shards[0], other.shards[0])]
    assert rows[0].tobytes() == rows[1].tobytes()


def test_an_earlier_copy_that_has_gone_is_not_missed(
    tmp_path: Path, make_plan: Callable, make_service: Callable
) -> None:
    service, other = make_service(make_plan()), make_service(make_plan())
    service.fill([20, 20])
    write_replay(service.shards, tmp_path / "copy", tmp_path / "gone")
    read_replay(other.shards, tmp_path / "copy")
    assert_same(stats_of(service), stats_of(other))


def test_another_number_of_shards(tmp_path: Path, make_plan: Callable, make_service: Callable) -> None:
    service = make_service(make_plan(replay={"num_shards": 1, "warmup_steps_per_task": 1}))
    go_on(service, 5)
    write_replay(service.shards, tmp_path / "copy", None)
    plan = make_plan(replay={"num_shards": 2})
    shards = [Shard(index, plan) for index in range(2)]
    read_replay(shards, tmp_path / "copy")
    inserted = [int(shard.stats().inserted.sum()) for shard in shards]
    assert inserted == service.shards[0].stats().inserted.tolist()


@pytest.mark.parametrize(
    ("rounds", "before", "after", "fits"),
    [(3, 29, 40, True), (25, 29, 29, True), (25, 29, 40, False), (7, 29, 20, False)],
    ids=["not full, more room", "the same", "full, more room", "less room"],
)
def test_another_capacity_is_refused_where_slots_would_be_without_rows(
    rounds: int,
    before: int,
    after: int,
    fits: bool,
    tmp_path: Path,
    make_plan: Callable,
    make_service: Callable,
) -> None:
    service = make_service(make_plan(replay={"capacity_per_task": before, "warmup_steps_per_task": 1}))
    go_on(service, rounds)
    write_replay(service.shards, tmp_path / "copy", None)
    if fits:
        check_capacity(tmp_path / "copy", after)
        return
    with pytest.raises(
        ValueError, match=rf"replay\.capacity_per_task must stay as it was, .* got {after}; resume"
    ):
        check_capacity(tmp_path / "copy", after)
