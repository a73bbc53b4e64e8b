"""Storage: named arrays, in memory or in memory-mapped .npy files that outlive a killed process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from replay_service.atomic_directory import sync
from replay_service.atomic_file import overwrite_text, write_text
from replay_service.checked_record import read_record, record_text, write_record
from replay_service.closing_mark import ClosingMark
from replay_service.file_lock import FileLock
from replay_service.full_disk import is_full_disk
from replay_service.mapped_file import map_file

logger = logging.getLogger(__name__)

LAYOUT_VERSION = 2
LAYOUT_FILE, LOCK_FILE = "layout.json", "lock"


class DirectoryInUse(ValueError):  # noqa: N818 - a state that passes
    """Another process has the directory."""


class Storage:
    """Hands out arrays that start as zeros and, with a directory, are found again with their last content.

    A store into a mapped array is in the kernel's page cache at once, so it survives SIGKILL, in program
    order; `flush` also brings it to the disk. The room of a file is taken when it is opened, so that no store fails
    later: on a full disk one would end the process by SIGBUS. Each file is a plain .npy file, which
    `numpy.load(file, mmap_mode="r")` reads from a dead run too. `layout.json` holds the version, the sizes and the
    closing mark.
    """

    def __init__(self, directory: Path | None, layout: dict[str, Any] | None = None) -> None:
        """Open the files of a directory, or memory without one; `begin_writing` is to follow.

        Raises:
            DirectoryInUse: another process has the directory.
            ValueError: it is of another layout.
        """
        self._directory = directory
        self._layout = {"version": LAYOUT_VERSION} | (layout or {})
        self._maps: dict[str, np.memmap] = {}
        self._lock: FileLock | None = None
        self._found: ClosingMark | None = None
        self.is_unmarked = False  # whether there are files of a version without closing marks
        self.doubt: str | None = None  # why the files may be torn
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock(directory)
            try:
                self._read_layout(directory)
            except ValueError:
                self.close()
                raise

    @property
    def is_mapped(self) -> bool:
        """Whether the arrays are in files."""
        return self._directory is not None

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return the array of this name: as it was left, or new and all zeros.

        Raises:
            ValueError: the file holds another shape or dtype, or does not fit on the disk.
        """
        if self._directory is None:
            return np.zeros(shape, dtype)
        self._maps[name] = map_file(self._directory / f"{name}.npy", shape, dtype)
        return self._maps[name].view(np.ndarray)  # the memmap class slows down every index operation

    def begin_writing(self) -> None:
        """Mark the files as open; to be called once they are found or made good."""
        if self._directory is not None:
            self._mark(ClosingMark.here(self._directory / LOCK_FILE))

    def flush(self) -> None:
        """Write everything to the disk; return when it is there. Stores may go on meanwhile, in another thread."""
        if self._directory is not None:
            for name in tuple(self._maps):
                sync(self._directory / f"{name}.npy")  # as msync does, but other threads run meanwhile

    def mark_clean(self) -> None:
        """Write everything to the disk and mark the files as closed; nothing may be stored after that."""
        if self._directory is not None:
            self.flush()
            self._mark(ClosingMark.here(self._directory / LOCK_FILE)._replace(clean=True))

    def close(self) -> None:
        """Release the directory for another process. Arrays handed out stay valid."""
        self._maps.clear()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _take_lock(self, directory: Path) -> FileLock:
        try:
            lock = FileLock(directory / LOCK_FILE)
        except BlockingIOError:
            raise DirectoryInUse(
                f"a replay directory must have one process, got a second one for {directory}; "
                f"end the run that uses it"
            ) from None
        if not lock.is_kept:
            logger.warning(
                "%s is on a file system without locks: no other machine may have it at the same time",
                directory,
            )
        return lock

    def _mark(self, mark: ClosingMark) -> None:
        assert self._directory is not None
        if mark != self._found:  # a process that is started again writes nothing, also on a full disk
            path = self._directory / LAYOUT_FILE
            text = record_text(self._layout | {"written": mark._asdict()})
            try:
                write_text(path, text)
            except OSError as error:
                if not is_full_disk(error):
                    raise
                overwrite_text(path, text)  # the arrays have their room, so that only this could fail
            sync(self._directory)  # before any store that it vouches for
            self._found = mark

    def _read_layout(self, directory: Path) -> None:
        path = directory / LAYOUT_FILE
        if not path.exists():
            if any(directory.glob("*.npy")):  # which are made after it
                self.doubt = f"its {LAYOUT_FILE} is missing"
            write_record(path, self._layout)
            return
        try:
            found = read_record(path)
            self._found = ClosingMark.read(found)
            if found.get("version") == LAYOUT_VERSION and found.keys() != self._layout.keys():
                raise ValueError("one of its names is damaged")
        except (ValueError, TypeError):
            self.doubt = f"its {LAYOUT_FILE} is damaged"
            return  # the files have their shapes in them
        for name in sorted(found.keys() | self._layout.keys()):
            if found.get(name) != self._layout.get(name):
                raise ValueError(
                    f"{name} of {directory} must stay {found.get(name)}, got {self._layout.get(name)}; "
                    f"resume with the configuration that wrote it, or start a new run"
                )
        self.is_unmarked = self._found is None
        self.doubt = self._found and self._found.doubt(ClosingMark.here(directory / LOCK_FILE))
