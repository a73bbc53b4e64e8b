"""Numbered directories that appear whole or not at all: written under another name, made durable, then renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

_TEMPORARY = ".writing-"


def begin(parent: Path) -> Path:
    """Create an empty directory in `parent` to write in; remove what a process that was killed left half written."""
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(leftover)
    path = parent / f"{_TEMPORARY}{os.getpid()}"
    path.mkdir()
    return path


def publish(written: Path, name: str) -> Path:
    """Make all that was written durable, then give the directory its name, in place of one that has it."""
    for path in (*written.rglob("*"), written):
        _sync(path)
    named = written.parent / name
    if named.exists():
        shutil.rmtree(named)
    written.rename(named)
    _sync(named.parent)
    return named


def numbered(parent: Path, prefix: str) -> list[Path]:
    """List the directories `<prefix><number>`, lowest number first."""
    found = [path for path in parent.glob(f"{prefix}*") if path.name.removeprefix(prefix).isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(prefix)))


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
