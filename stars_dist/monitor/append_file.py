"""A file that grows by whole records, whatever the disk does."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from replay_service.full_disk import DiskPause

MOST_WAITING_BYTES = 64 << 20


class AppendFile:
    """Appends records; those that a full disk refuses wait in memory, in their order, until it has room.

    A record is in the kernel when `append` returns, unless the disk is full, so a killed process loses none. Of those
    that wait at most 64 MB are kept: with a disk that stays full for days the newest ones are lost.
    """

    def __init__(self, path: Path, pause: DiskPause) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._pause = pause
        self._waiting: deque[bytes] = deque()  # the first one may be written in part, and is then its rest
        self._waiting_bytes = 0

    def append(self, record: bytes) -> None:
        """Append a record, after those that wait."""
        if self._waiting_bytes + len(record) <= MOST_WAITING_BYTES or not self._waiting:
            self._waiting.append(record)
            self._waiting_bytes += len(record)
        self._pause.attempt(self._write_waiting)

    @property
    def size_bytes(self) -> int:
        """The size of the file with what waits."""
        return os.fstat(self._descriptor).st_size + self._waiting_bytes

    def close(self) -> None:
        """Try once more to write what waits, and close the file."""
        if not self._pause.attempt(self._write_waiting):
            self._pause.give_up(f"{len(self._waiting):,} records")
        os.close(self._descriptor)

    def _write_waiting(self) -> None:
        while self._waiting:
            record = self._waiting.popleft()
            written = 0
            try:
                while written < len(record):  # a disk with room for a part takes that
                    written += os.write(self._descriptor, record[written:])
            finally:
                self._waiting_bytes -= written
                if written < len(record):
                    self._waiting.appendleft(record[written:])
