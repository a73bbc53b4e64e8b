"""Numbered directories that appear whole or not at all: written under another name, made durable, then renamed."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = ".writing-"
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def begin(parent: Path) -> Path:
    """Create an empty directory in `parent` to write in; remove what a process that was killed left half written."""
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(leftover)
    path = parent / f"{_TEMPORARY}{os.getpid()}"
    path.mkdir()
    return path


@contextmanager
def cleared_on_error(written: Path) -> Iterator[None]:
    """Remove what was begun if the block raises: on a full disk it would keep the room from everybody else."""
    try:
        yield
    except BaseException:
        shutil.rmtree(written, ignore_errors=True)
        raise


def publish(written: Path, name: str) -> Path:
    """Make all that was written durable, then give the directory its name, in place of one that has it."""
    for path in (*written.rglob("*"), written):
        sync(path)
    named = written.parent / name
    if not named.exists():
        written.rename(named)
    elif not _exchange(written, named):
        aside = written.with_name(f"{written.name}-old")
        named.rename(aside)
        written.rename(named)
        written = aside
    sync(named.parent)
    if written.exists():
        shutil.rmtree(written)
    return named


def _exchange(one: Path, other: Path) -> bool:
    """Swap two directories, so that a name is at no moment without one; return False where the system cannot."""
    try:
        rename = ctypes.CDLL(None).renameat2
    except AttributeError:  # a C library of 2018 or before, or no Linux
        return False
    return rename(_HERE, os.fsencode(one.absolute()), _HERE, os.fsencode(other.absolute()), _EXCHANGE) == 0


def numbered(parent: Path, prefix: str) -> list[Path]:
    """List the directories `<prefix><number>`, lowest number first."""
    found = [path for path in parent.glob(f"{prefix}*") if path.name.removeprefix(prefix).isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(prefix)))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Return when a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
