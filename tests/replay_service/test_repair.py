"""Mapped files after a power cut, copied while they were written, cut short, or of a version without checks."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replay_service.checked_record import read_record, write_record
from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplaySampler
from replay_service.shard import Shard
from replay_service.snapshot import SnapshotStore
from replay_service.snapshot_job import SnapshotJob
from replay_service.transport import LocalTransport
from replay_service.types import Chunk

MakePlan = Callable[..., ReplayPlan]
MakeChunk = Callable[..., Chunk]
ANY = 10**9
CAPACITY = 400


@pytest.fixture
def plan(make_plan: MakePlan) -> ReplayPlan:
    return make_plan(
        1, {"storage": "mapped", "capacity_per_task": CAPACITY}, total_steps=2000, chunk_steps=20
    )


def fill(plan: ReplayPlan, directory: Path, make_chunk: MakeChunk, rows: int) -> Shard:
    """A shard with rows 1 to `rows`, so that none is all zeros."""
    shard = Shard(0, plan, directory)
    shard.set_insert_limit(0, ANY)
    for sequence in range(rows // 20):
        shard.insert(make_chunk(0, 20, sequence, first=1 + 20 * sequence, episodes=1), 0.0)
    return shard


def drawn(shard: Shard) -> set[float]:
    """The serial numbers of 4,000 rows, each of which must be one that was sent, in all its columns."""
    rows = shard.sample(np.array([[4000]]), 0, ANY).rows
    serial = rows["reward"]
    assert (serial == np.round(serial)).all() and (serial > 0).all(), "a row is none that was sent"
    np.testing.assert_array_equal(rows["obs"][:, 0], serial)
    np.testing.assert_array_equal(rows["next_obs"][:, 0], -serial)
    np.testing.assert_array_equal(rows["action"][:, 0], serial)
    return set(serial.tolist())


def power_cut(directory: Path) -> None:
    """Make the files those of a kernel that went down before they were closed."""
    path = directory / "shard-0" / "layout.json"
    layout = read_record(path)
    layout["written"] |= {"boot_id": "that-of-before", "clean": False}
    write_record(path, layout)


def tear(directory: Path, name: str, start: int, end: int) -> None:
    """Overwrite a part of a file's data with zeros, as a page that never reached the disk."""
    path = directory / "shard-0" / f"{name}.npy"
    with path.open("r+b") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        file.seek(file.tell() + start)
        file.write(bytes(end - start))


def test_torn_rows_are_given_up_and_whole_ones_stay(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    shard = fill(plan, tmp_path, make_chunk, 200)
    row_bytes = shard._content.tables.row_dtype.itemsize
    shard.close()
    power_cut(tmp_path)
    tear(tmp_path, "transitions", 50 * row_bytes + 8, 150 * row_bytes)  # one in its middle
    reopened = Shard(0, plan, tmp_path)
    assert drawn(reopened) == {*range(1, 51), *range(151, 201)}
    stats = reopened.stats()
    assert (stats.inserted.tolist(), stats.size.tolist()) == ([200], [100])
    assert reopened.opening_report is not None
    assert "machine went down" in reopened.opening_report and "100 of 200" in reopened.opening_report
    reopened.set_insert_limit(0, ANY)
    reopened.insert(make_chunk(0, 20, 0, first=201, incarnation=1), 0.0)
    assert drawn(reopened) == {*range(1, 51), *range(151, 221)}
    reopened.close()
    again = Shard(0, plan, tmp_path)  # what was made good stays so
    assert again.opening_report is None and drawn(again) == {*range(1, 51), *range(151, 221)}


def test_rows_torn_on_the_disk_are_found_without_a_power_cut(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    shard = fill(plan, tmp_path, make_chunk, 600)  # one and a half times around
    row_bytes = shard._content.tables.row_dtype.itemsize
    shard.close()
    tear(tmp_path, "transitions", 4096, 8192)
    reopened = Shard(0, plan, tmp_path)
    lost = {*range(201, 601)} - drawn(reopened)
    assert 0 < len(lost) <= 4096 // row_bytes + 2
    assert reopened.opening_report is not None and "files are damaged" in reopened.opening_report
    assert reopened.stats().inserted.tolist() == [600]


def test_whole_files_stay_as_they_are_after_a_power_cut(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    shard = fill(plan, tmp_path, make_chunk, 600)
    shard.update_priorities(np.zeros(1, np.int32), shard.sample(np.array([[1]]), 0, ANY).key, np.array([7.0]))
    before = shard.stats()
    shard.close()
    power_cut(tmp_path)
    reopened = Shard(0, plan, tmp_path)
    assert reopened.stats().inserted.tolist() == [600]
    np.testing.assert_allclose(reopened.stats().priority_mass, before.priority_mass)
    assert reopened.opening_report is not None and "are whole" in reopened.opening_report


@pytest.mark.parametrize("rows", [200, 600])
def test_a_counter_that_never_reached_the_disk_is_found_again_in_the_rows(
    rows: int, plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    fill(plan, tmp_path, make_chunk, rows).close()
    power_cut(tmp_path)
    tear(tmp_path, "tables", 0, 56)
    reopened = Shard(0, plan, tmp_path)
    assert reopened.stats().inserted.tolist() == [rows]
    assert drawn(reopened) == {*range(max(1, rows - CAPACITY + 1), rows + 1)}


def test_a_journal_of_another_instant_is_not_applied(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    fill(plan, tmp_path, make_chunk, 200).close()
    committed = np.load(tmp_path / "shard-0" / "journal_committed.npy", mmap_mode="r+")
    committed[...] = 1
    tear(tmp_path, "journal_transitions", 0, 20 * 64)
    power_cut(tmp_path)
    assert drawn(Shard(0, plan, tmp_path)) == {*range(1, 201)}


def test_pages_of_zeros_give_no_priority_and_no_episode(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    fill(plan, tmp_path, make_chunk, 200).close()
    power_cut(tmp_path)
    tear(tmp_path, "priority", 0, 400)
    tear(tmp_path, "episodes", 0, 32)
    reopened = Shard(0, plan, tmp_path)
    assert drawn(reopened) == {*range(1, 201)}
    assert np.isnan(reopened.stats().success_rate).all()


def test_a_copy_of_a_live_shard_serves_whole_rows_only(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    shard = fill(plan, tmp_path / "live", make_chunk, 400)
    end = threading.Event()

    def insert() -> None:
        for sequence in range(20, 100):
            shard.insert(make_chunk(0, 20, sequence, first=1 + 20 * sequence), 0.0)
        end.set()

    thread = threading.Thread(target=insert)
    thread.start()
    copies, served = 0, set[int]()
    while not end.is_set() or not served:
        copy = tmp_path / f"copy-{copies}"
        shutil.copytree(tmp_path / "live", copy)
        opened = Shard(0, plan, copy)
        assert opened.opening_report is not None and "are a copy" in opened.opening_report
        if opened.stats().size[
            0
        ]:  # a counter that was copied while it changed is not trusted, nor are its rows
            served |= drawn(opened)
        assert opened.stats().inserted[0] <= 2000
        copies += 1
    thread.join()
    assert served <= {*range(1, 2001)}


def test_a_copy_of_a_closed_shard_is_as_good_as_the_first(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    fill(plan, tmp_path / "closed", make_chunk, 200).close()
    shutil.copytree(tmp_path / "closed", tmp_path / "copy")
    opened = Shard(0, plan, tmp_path / "copy")
    assert opened.opening_report is None and drawn(opened) == {*range(1, 201)}


def test_a_closed_shard_stores_nothing_more(plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk) -> None:
    shard = fill(plan, tmp_path, make_chunk, 200)
    shard.close()
    assert shard.insert(make_chunk(0, 20, 10, first=201), 0.0).status == "wait"
    assert Shard(0, plan, tmp_path).stats().inserted.tolist() == [200]


@pytest.mark.parametrize("name", ["transitions", "row_checks", "priority", "tables"])
def test_a_copy_that_was_cut_short_opens_with_what_it_has(
    name: str, plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    fill(plan, tmp_path, make_chunk, 400).close()
    path = tmp_path / "shard-0" / f"{name}.npy"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    power_cut(tmp_path)
    assert len(drawn(Shard(0, plan, tmp_path))) > 100


def test_a_file_without_its_header_is_lost_and_told(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk, caplog: pytest.LogCaptureFixture
) -> None:
    fill(plan, tmp_path, make_chunk, 400).close()
    (tmp_path / "shard-0" / "priority.npy").write_bytes(bytes(100))
    assert drawn(Shard(0, plan, tmp_path)) == {*range(1, 401)}
    assert "priority.npy is cut short" in caplog.text


def test_without_a_whole_row_the_snapshot_is_taken(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    shard, store = fill(plan, tmp_path / "replay", make_chunk, 200), SnapshotStore(tmp_path / "snapshots", 1)
    SnapshotJob(plan, store, LocalTransport([shard]), 200).finish()
    for sequence in range(10, 15):
        shard.insert(make_chunk(0, 20, sequence, first=1 + 20 * sequence), 0.0)
    shard.close()
    power_cut(tmp_path / "replay")
    tear(tmp_path / "replay", "transitions", 0, 400 * shard._content.tables.row_dtype.itemsize)
    reopened = Shard(0, plan, tmp_path / "replay", store.directory)
    assert drawn(reopened) == {*range(1, 201)}
    reopened.adopt_inserted(np.array([300]))
    assert reopened.stats().inserted.tolist() == [300]


class TestFilesWithoutChecks:
    """Files of earlier versions have neither a mark nor checks."""

    @staticmethod
    def make(plan: ReplayPlan, directory: Path, make_chunk: MakeChunk, rows: int) -> None:
        fill(plan, directory, make_chunk, rows).close()
        layout: dict[str, Any] = json.loads((directory / "shard-0" / "layout.json").read_text())
        del layout["written"], layout["check"]
        (directory / "shard-0" / "layout.json").write_text(json.dumps(layout))
        (directory / "shard-0" / "row_checks.npy").unlink()

    @pytest.mark.parametrize("rows", [200, 600])
    def test_are_opened_as_they_are_and_get_checks(
        self, rows: int, plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
    ) -> None:
        self.make(plan, tmp_path, make_chunk, rows)
        for _ in range(2):
            shard = Shard(0, plan, tmp_path)
            assert shard.opening_report is None
            assert drawn(shard) == {*range(max(1, rows - CAPACITY + 1), rows + 1)}
            shard.close()

    def test_lose_pages_of_zeros_and_what_is_not_finite(
        self, plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
    ) -> None:
        self.make(plan, tmp_path, make_chunk, 200)
        rows = np.load(tmp_path / "shard-0" / "transitions.npy", mmap_mode="r+")
        rows[0, 10:20] = 0
        rows["obs"][0, 30, 2] = np.nan
        shard = Shard(0, plan, tmp_path)
        assert drawn(shard) == {*range(1, 201)} - {*range(11, 21), 31}
        assert shard.opening_report is not None and "189 of 200" in shard.opening_report


def test_counts_do_not_double_when_the_checkpoint_knows_more_than_the_files(
    plan: ReplayPlan, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    """1,000 stored in the files, the checkpoint knew 1,004: the run counted 2,004 of its 2,000 and was closed."""
    fill(plan, tmp_path, make_chunk, 1000).close()
    shard = Shard(0, plan, tmp_path)
    sampler = ReplaySampler(plan, LocalTransport([shard]))
    sampler.load_state_dict({"samples": 0, "inserted": [1004]})
    for _ in range(3):
        sampler.refresh(0)
    assert shard.stats().inserted.tolist() == [1004] and sampler.env_steps == 1004
    shard.set_insert_limit(0, ANY)
    shard.insert(make_chunk(0, 20, 0, first=1001, incarnation=1), 0.0)
    shard.adopt_inserted(np.array([1004]))
    assert shard.stats().inserted.tolist() == [1024]
