"""The insert gate: a shard's lock, with the inserts that wait for a limit, each woken when its own is reached."""

from __future__ import annotations

import threading
from types import TracebackType


class InsertGate:
    """A lock whose waiters name the limit that they wait for.

    With two hundred inserts waiting, to wake them all at every change of the limit costs milliseconds of the core that
    the sampler waits for; a change lets a few of them through.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: dict[threading.Condition, int] = {}  # and the limit that each waits for

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def wait(self, least_limit: int, timeout_s: float) -> None:
        """Sleep, without the lock, until `open` is called with at least this limit, or `notify_all`."""
        woken = threading.Condition(self._lock)
        self._waiting[woken] = least_limit
        try:
            woken.wait(timeout_s)
        finally:
            del self._waiting[woken]

    def open(self, limit: int) -> int:
        """Wake the inserts that wait for this limit or a lower one; return how many."""
        through = [woken for woken, least in self._waiting.items() if least <= limit]
        for woken in through:
            woken.notify()
        return len(through)

    def notify_all(self) -> None:
        """Wake all of them, to look again."""
        for woken in self._waiting:
            woken.notify()
