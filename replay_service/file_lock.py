"""File locks: one process at a time has a directory, also on a file system that knows no locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from pathlib import Path
from typing import NamedTuple

_CANNOT_LOCK = {errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL}


class _Owner(NamedTuple):
    """The process that has a lock, as written in its file where the file system keeps none."""

    host: str
    pid: int
    started: str  # its start in ticks of the kernel's clock: a number of a process is used again

    @classmethod
    def this(cls) -> _Owner:
        return cls(socket.gethostname(), os.getpid(), _start_of(os.getpid()))

    @property
    def is_alive(self) -> bool:
        """Whether it runs; of another host it is not known, and it counts as ended."""
        return self.host == socket.gethostname() and _start_of(self.pid) == self.started != ""


class FileLock:
    """Holds a lock file until `release`, or until this process ends in any way.

    Where the file system has no locks, as some network file systems, the file names its process, which keeps the others
    of this host out; `is_kept` is then False, as nothing keeps out those of other hosts.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock; BlockingIOError if a live process has it."""
        self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "rb+")
        self.is_kept = True
        try:
            self._take(self._file.fileno())
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the lock back; may be repeated."""
        if not self._file.closed:
            if not self.is_kept:
                os.ftruncate(self._file.fileno(), 0)
            self._file.close()

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _CANNOT_LOCK:
                raise
        owner = _read_owner(descriptor)
        if owner is not None and owner != _Owner.this() and owner.is_alive:
            raise BlockingIOError(errno.EAGAIN, f"process {owner.pid} of this machine has it")
        self.is_kept = False
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_Owner.this()).encode(), 0)


def is_locked(path: Path) -> bool:
    """Return whether a live process has a lock file."""
    try:
        FileLock(path).release()
    except BlockingIOError:
        return True
    return False


def _read_owner(descriptor: int) -> _Owner | None:
    try:
        return _Owner(*json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return None


def _start_of(pid: int) -> str:
    """Read when a process was started; empty if there is none, or one that has ended and is not taken note of."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if stat[0] == "Z" else stat[19]
