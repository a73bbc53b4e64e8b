"""The checkpoint writer: writes copies of the learner in a thread, so that updates go on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any

RETRY_S = 15.0  # of a copy that a full disk has refused


class CheckpointWriter:
    """Writes one checkpoint at a time. What a write raised is raised by the next call of `check` or `save`.

    A copy that a full disk refuses is kept and tried again, by `check` and `settle`, until there is a newer one.

             consumes      produces     waits for                    is unblocked by
    caller   -             a copy       the write before it          its end
    thread   the copy      files        the disk                     the disk
    """

    def __init__(self, copy: Callable[[], Any], write: Callable[[Any], bool]) -> None:
        """`copy` is called in the caller's thread and its result handed to `write`, in another.

        `write` returns whether the disk took the copy.
        """
        self._copy, self._write = copy, write
        self._writing: Future[None] | None = None
        self._refused: Any = None
        self._tried_at = 0.0

    def save(self) -> None:
        """Copy, and begin to write the copy; waits for a write in progress, so that there is one copy at a time."""
        self._wait()
        self._begin(self._copy())

    def check(self) -> None:
        """Raise what a write has raised, once it has, and begin anew what is to be tried again; does not wait."""
        if self._writing is not None and self._writing.done():
            self._wait()
        if self._is_refused and time.monotonic() - self._tried_at >= RETRY_S:
            self._begin(self._refused)

    def settle(self) -> bool:
        """Wait for the write in progress and raise what it raised; return whether the newest copy is written.

        A copy that was refused before is tried once more.
        """
        self._wait()
        if self._is_refused:
            self._begin(self._refused)
            self._wait()
        return not self._is_refused

    @property
    def _is_refused(self) -> bool:
        return self._writing is None and self._refused is not None

    def _wait(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _begin(self, copy: Any) -> None:
        self._writing = Future()
        # A daemon: at the end of a program that is told to quit nobody waits for it.
        Thread(target=self._run, args=(copy, self._writing), name="checkpoint", daemon=True).start()

    def _run(self, copy: Any, writing: Future[None]) -> None:
        try:
            took = self._write(copy)
        except BaseException as error:
            writing.set_exception(error)
        else:
            self._refused, self._tried_at = None if took else copy, time.monotonic()
            writing.set_result(None)
