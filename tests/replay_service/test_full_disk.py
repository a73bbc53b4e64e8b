"""A full disk is known by its errors, named, and told once."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from replay_service.full_disk import DiskPause, PlaceGoneError, disk_of, is_full_disk
from tests.small_disk import SmallDisk


def test_errors_of_a_full_disk_are_known(small_disk: Callable[..., SmallDisk]) -> None:
    disk = small_disk("64k")
    with pytest.raises(OSError, match="No space left") as refused:
        (disk.path / "file").write_bytes(bytes(100_000))
    assert is_full_disk(refused.value)
    assert is_full_disk(OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert is_full_disk(RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"))
    assert not is_full_disk(OSError(errno.EIO, "Input/output error"))
    assert not is_full_disk(ValueError("No space left on device"))


def test_a_disk_is_named_by_its_place_and_what_is_free(small_disk: Callable[..., SmallDisk]) -> None:
    disk = small_disk("64k")
    assert disk_of(disk.path / "run" / "replay") == f"the disk at {disk.path} (0.1 MB free)"


def test_a_pause_is_told_once_and_its_end(tmp_path: Path, small_disk: Callable[..., SmallDisk]) -> None:
    disk, lines = small_disk("64k"), list[str]()
    pause = DiskPause("metrics", disk.path, lines.append)

    def write() -> None:
        (disk.path / "file").write_bytes(bytes(10_000))

    assert pause.attempt(write) and lines == []
    disk.fill()
    for _ in range(3):
        assert not pause.attempt(lambda: (disk.path / "more").write_bytes(bytes(10_000)))
    assert lines == [
        f"warning: metrics pause, the disk at {disk.path} (0.0 MB free) is full; they go on when there is room"
    ]
    disk.free()
    assert pause.attempt(write) and pause.attempt(write)
    assert lines[1:] == [f"metrics go on, {disk_of(disk.path)} takes them again"]
    with pytest.raises(ZeroDivisionError):
        pause.attempt(lambda: 1 / 0)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.EROFS, "Read-only file system"), "refuses them (Read-only file system)"),
        (OSError(errno.EFBIG, "File too large"), "refuses them (File too large)"),
        (PlaceGoneError("runs/a is gone, moved or removed"), "runs/a is gone, moved or removed"),
    ],
)
def test_what_may_be_mended_meanwhile_pauses_too(error: OSError, told: str, tmp_path: Path) -> None:
    lines, faults = list[str](), [error, error]
    pause = DiskPause("checkpoints", tmp_path, lines.append)

    def write() -> None:
        if faults:
            raise faults.pop()

    assert [pause.attempt(write) for _ in range(3)] == [False, False, True]
    assert told in lines[0] and lines[0].endswith("; they go on when that is over")
    assert len(lines) == 2 and lines[1].startswith("checkpoints go on, ")
