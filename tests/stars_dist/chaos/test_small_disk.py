"""A disk of its own: full when it is filled, with room when it is freed, gone when it is closed."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from stars_dist.chaos.small_disk import SmallDisk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk", 2**20)
    if not disk.is_mounted:
        pytest.skip("this test needs the right to mount")
    yield disk
    disk.close(keep=False)


def test_a_filled_disk_takes_nothing_until_it_is_freed(disk: SmallDisk) -> None:
    disk.fill()
    with pytest.raises(OSError) as error:
        (disk.path / "file").write_bytes(bytes(10_000))
    assert error.value.errno == errno.ENOSPC
    disk.free()
    (disk.path / "file").write_bytes(bytes(10_000))


@pytest.mark.parametrize("keep", [True, False])
def test_a_closed_disk_leaves_its_files_only_if_they_are_to_be_kept(disk: SmallDisk, keep: bool) -> None:
    (disk.path / "run").mkdir()
    (disk.path / "run" / "file").write_text("kept")
    disk.fill()
    disk.close(keep=keep)
    assert not disk.path.is_mount()
    assert [path.name for path in disk.path.rglob("*")] == (["run", "file"] if keep else [])
