"""Files that appear whole or not at all: written under another name, made durable, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write in; it takes the place of `path` when the block ends, and never if the block raises.

    A process that is killed in the block may leave a hidden `.<name>.<process id>.tmp` beside `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(name: str) -> bool:
    """Tell whether a name is of a file that a killed process was writing."""
    return name.startswith(".") and name.endswith(".tmp")


def write_text(path: Path, text: str) -> None:
    """Write a file of UTF-8 text, whole or not at all."""
    with atomic_file(path) as file:
        file.write(text.encode())


def overwrite_text(path: Path, text: str) -> None:
    """Write a file of UTF-8 text into the room that it has, at least as long as it was, for a disk that has no more.

    A loss of power may leave a part of it.
    """
    with path.open("r+b", buffering=0) as file:
        file.write(text.encode().ljust(path.stat().st_size))
        os.fsync(file.fileno())
