"""Named arrays in memory and in files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from replay_service.storage import LAYOUT_FILE, Storage
from tests.small_disk import SmallDisk


def test_memory_arrays_start_as_zeros() -> None:
    assert Storage(None).array("a", (2, 3), np.float32).sum() == 0


def test_mapped_arrays_keep_their_content_and_are_plain_npy_files(tmp_path: Path) -> None:
    storage = Storage(tmp_path, {"shard": 0})
    storage.array("a", (2, 3), np.int64)[1] = 7
    storage.close()
    assert np.load(tmp_path / "a.npy", mmap_mode="r").tolist() == [[0, 0, 0], [7, 7, 7]]
    assert Storage(tmp_path, {"shard": 0}).array("a", (2, 3), np.int64)[1].tolist() == [7, 7, 7]


def test_a_file_cut_short_in_its_creation_is_created_again(tmp_path: Path) -> None:
    (tmp_path / "a.partial").write_bytes(b"half a header")
    assert Storage(tmp_path).array("a", (2,), np.int64).tolist() == [0, 0]


def test_another_shape_is_refused(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.array("a", (2,), np.int64)
    with pytest.raises(ValueError, match=r"must hold float64\[3\], got int64\[2\]; resume with"):
        storage.array("a", (3,), np.float64)


def test_another_layout_is_refused_and_leaves_the_directory_free(tmp_path: Path) -> None:
    Storage(tmp_path, {"capacity": 10}).close()
    with pytest.raises(ValueError, match=r"capacity of .* must stay 10, got 20"):
        Storage(tmp_path, {"capacity": 20})
    Storage(tmp_path, {"capacity": 10}).close()


def test_a_directory_has_one_process(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with pytest.raises(ValueError, match="must have one process"):
        Storage(tmp_path)
    storage.close()
    Storage(tmp_path).close()


def test_files_greater_than_the_disk_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must fit on the disk, got 1000000\.0 GB"):
        Storage(tmp_path).array("a", (10**15,), np.int8)


def test_a_full_disk_keeps_nobody_from_opening_and_closing_files_that_are_there(
    small_disk: Callable[..., SmallDisk],
) -> None:
    disk = small_disk("256k")

    def use(*, is_closed_well: bool) -> int:
        storage = Storage(disk.path / "replay", {"rows": 8})
        rows = storage.array("rows", (8,), np.int64)
        assert storage.doubt is None
        storage.begin_writing()
        rows += 1
        if is_closed_well:
            storage.mark_clean()
        storage.close()
        return int(rows[0])

    assert use(is_closed_well=True) == 1
    disk.fill()
    assert [use(is_closed_well=closed) for closed in (True, False, True)] == [2, 3, 4]


def flipped_bits(path: Path, size_bytes: int) -> Iterator[int]:
    """Flip each bit of the first bytes of a file in turn."""
    whole = path.read_bytes()
    for place in range(8 * size_bytes):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        yield place


def test_no_damage_to_a_layout_makes_it_that_of_another_run(tmp_path: Path) -> None:
    layout = {"shard": 0, "capacity": 10_000, "task_id": [0, 2]}
    storage = Storage(tmp_path, layout)
    storage.begin_writing()
    storage.close()
    doubts = list[str | None]()
    for _ in flipped_bits(tmp_path / LAYOUT_FILE, (tmp_path / LAYOUT_FILE).stat().st_size):
        storage = Storage(tmp_path, layout)
        doubts.append(storage.doubt)
        storage.close()
    assert set(doubts) <= {None, f"its {LAYOUT_FILE} is damaged"} and doubts.count(None) < 20


def test_damage_to_the_header_of_a_file_costs_nothing_of_what_it_holds(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.array("a", (20, 3), np.float32)[:] = np.arange(60).reshape(20, 3)
    for place in flipped_bits(tmp_path / "a.npy", 128):
        found = storage.array("a", (20, 3), np.float32)
        assert found[19].tolist() == [57, 58, 59], f"bit {place}"
    assert np.load(tmp_path / "a.npy").sum() == 59 * 30
