"""The checkpoint writer: writes copies of the learner in a thread, so that updates go on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Any


class CheckpointWriter:
    """Writes one checkpoint at a time. What a write raised is raised by the next call of `check` or `save`.

             consumes      produces     waits for                    is unblocked by
    caller   -             a copy       the write before it          its end
    thread   the copy      files        the disk                     the disk
    """

    def __init__(self, copy: Callable[[], Any], write: Callable[[Any], Any]) -> None:
        """`copy` is called in the caller's thread and its result handed to `write`, in another."""
        self._copy, self._write = copy, write
        self._writing: Future[None] | None = None

    def save(self) -> None:
        """Copy, and begin to write the copy; waits for a write in progress, so that there is one copy at a time."""
        self.settle()
        copy, self._writing = self._copy(), Future()
        # A daemon: at the end of a program that is told to quit nobody waits for it.
        Thread(target=self._run, args=(copy, self._writing), name="checkpoint", daemon=True).start()

    def check(self) -> None:
        """Raise what a write has raised, once it has; does not wait."""
        if self._writing is not None and self._writing.done():
            self.settle()

    def settle(self) -> None:
        """Wait for the write in progress; raise what it raised."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _run(self, copy: Any, writing: Future[None]) -> None:
        try:
            self._write(copy)
        except BaseException as error:
            writing.set_exception(error)
        else:
            writing.set_result(None)
