"""What the files of shards hold, read without opening the shards."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from replay_service.inspection import LastChunk, inspect_shards
from replay_service.journal import Journal
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import Chunk

MakePlan = Callable[..., ReplayPlan]
MakeChunk = Callable[..., Chunk]


@pytest.fixture
def shards(tmp_path: Path, make_plan: MakePlan, make_chunk: MakeChunk) -> list[Shard]:
    """Three tasks on two shards, with wrapped and empty tables, duplicates and stale updates."""
    plan = make_plan(3, {"storage": "mapped", "num_shards": 2})
    shards = [Shard(index, plan, tmp_path) for index in range(2)]
    for shard in shards:
        shard.set_insert_limit(0, 10**9)
    for sequence in range(10):
        shards[0].insert(make_chunk(0, 4, sequence, first=4 * sequence, actor=5, episodes=1), 0.0)
    shards[0].insert(make_chunk(0, 4, 9, actor=5), 0.0)
    shards[0].insert(make_chunk(2, 3, 7, actor=6, incarnation=2), 0.0)
    drawn = shards[0].sample(np.array([[6, 0, 2]]), 0, 10**9)
    shards[0].update_priorities(drawn.task_id, drawn.key, np.linspace(0.5, 4, 8))
    shards[0].insert(make_chunk(0, 32, 10, actor=5), 0.0)
    shards[0].update_priorities(drawn.task_id, drawn.key, np.linspace(0.5, 4, 8))
    return shards


def test_a_live_shard_is_reported_as_it_reports_itself(shards: list[Shard], tmp_path: Path) -> None:
    reports = inspect_shards(tmp_path)
    assert [report.shard for report in reports] == [0, 1]
    for shard, report in zip(shards, reports, strict=True):
        stats, tables = shard.stats(), report.tables
        assert [table.task_id for table in tables] == stats.task_id.tolist()
        for name in ("size", "inserted", "sampled", "episodes"):
            assert [getattr(table, name) for table in tables] == getattr(stats, name).tolist(), name
        np.testing.assert_allclose([table.priority_mass for table in tables], stats.priority_mass, rtol=1e-12)
        assert sum(table.stale_updates for table in tables) == stats.stale_updates
        assert sum(table.duplicate_chunks for table in tables) == stats.duplicate_chunks
        assert {table.capacity for table in tables} == {stats.capacity}
        assert (report.incarnation, report.unfinished_insert) == (1, False)
    assert (reports[0].tables[0].stale_updates, reports[0].tables[0].duplicate_chunks) == (6, 1)


def test_newest_keys_and_chunks(shards: list[Shard], tmp_path: Path) -> None:
    (first, third), (second,) = (report.tables for report in inspect_shards(tmp_path))
    assert first.newest_key == shards[0].sample(np.array([[5000, 0, 0]]), 0, 10**9).key.max()
    assert first.last_chunk == {5: LastChunk(0, 10)} and third.last_chunk == {6: LastChunk(2, 7)}
    assert (second.size, second.newest_key, second.last_chunk) == (0, None, {})


def test_a_dead_run_is_read_and_nothing_is_written(shards: list[Shard], tmp_path: Path) -> None:
    before = inspect_shards(tmp_path)
    for shard in shards:
        shard.close()
    (tmp_path / "shard-0" / "lock").unlink()
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert inspect_shards(tmp_path) == before
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_an_insert_cut_short_is_reported(
    shards: list[Shard], tmp_path: Path, make_chunk: MakeChunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "clear", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shards[1].insert(make_chunk(1, 4), 0.0)
    assert [report.unfinished_insert for report in inspect_shards(tmp_path)] == [False, True]


def test_directories_that_hold_no_replay_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold shard-\*/layout.json.*storage=memory leaves no files"):
        inspect_shards(tmp_path)
    (tmp_path / "shard-0").mkdir()
    layout = tmp_path / "shard-0" / "layout.json"
    layout.write_text(json.dumps({"version": 1}))
    with pytest.raises(ValueError, match=r"must be of layout version 2, .* is of 1"):
        inspect_shards(tmp_path)
    layout.write_text(json.dumps({"version": 2}))
    with pytest.raises(ValueError, match=r"must hold shard\.npy"):
        inspect_shards(tmp_path)
