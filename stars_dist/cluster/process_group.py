"""The process group of a local Ray, which ends with this program, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Reads until every copy of the pipe's other end is closed, as the kernel does at the end of a program that is killed.
_WATCH = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.read(0, 1)
os.killpg(0, signal.SIGKILL)
"""

_watch: subprocess.Popen[bytes] | None = None  # for the life of this program
_group: int | None = None  # that new children join


@contextmanager
def children_end_with_this_program() -> Iterator[None]:
    """Put the processes that Ray starts within into a group of their own, which a small process watches over.

    A terminal that closes and `timeout` signal the whole group of this program, and Ray's processes would end before
    the run is saved. A kill of this program ends theirs at once: left alone, two agents of Ray outlive it by a minute.
    """
    global _group, _watch
    if _watch is None or _watch.poll() is not None:
        _watch = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCH], stdin=subprocess.PIPE, process_group=0
        )
    _group = _watch.pid  # no other group gets this number while its leader lives
    try:
        yield
    finally:
        _group = None


def _join_group() -> None:
    if _group is not None:
        with suppress(OSError):  # the leader was killed: the child stays in this program's group
            os.setpgid(0, _group)


os.register_at_fork(after_in_child=_join_group)
