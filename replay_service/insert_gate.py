"""The insert gate: a shard's lock, with the inserts that wait for a limit, each woken when its own is reached."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class InsertGate:
    """A lock whose waiters name the limit that they wait for, and that inserts ask for one at a time.

    With two hundred inserts waiting, to wake them all at every change of the limit costs milliseconds of the core that
    the sampler waits for; a change lets a few of them through. And of hundreds that come at once only the first
    asks for the lock: else the sampler's call would stand behind all of them.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._turn = threading.Lock()  # of the insert that asks for the lock
        self._waiting: dict[threading.Lock, int] = {}  # what each sleeps on, and the limit that it waits for

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    @contextmanager
    def insert(self) -> Iterator[None]:
        """Hold the lock for an insert, in its turn."""
        self._enter_in_turn()
        try:
            yield
        finally:
            self._lock.release()

    def wait(self, least_limit: int, timeout_s: float) -> None:
        """Sleep, without the lock, until `open` is called with at least this limit, or `notify_all`."""
        asleep = threading.Lock()
        asleep.acquire()
        self._waiting[asleep] = least_limit
        self._lock.release()
        try:
            asleep.acquire(timeout=max(0.0, timeout_s))
        finally:
            self._enter_in_turn()
            self._waiting.pop(asleep, None)

    def open(self, limit: int) -> int:
        """Wake the inserts that wait for this limit or a lower one; return how many."""
        through = [asleep for asleep, least in self._waiting.items() if least <= limit]
        self._wake(through)
        return len(through)

    def notify_all(self) -> None:
        """Wake all of them, to look again."""
        self._wake(list(self._waiting))

    def _enter_in_turn(self) -> None:
        with self._turn:
            self._lock.acquire()

    def _wake(self, waiting: list[threading.Lock]) -> None:
        for asleep in waiting:
            del self._waiting[asleep]
            asleep.release()
