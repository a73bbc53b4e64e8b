"""The interruption of a run by signals: the first one has it saved, a second one ends the program."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, `kill` and schedulers, a closed terminal
_ACKNOWLEDGED = b"\nstopping after this update and saving; again: quit without saving\n"
_STANDARD_ERROR = 2
_POLL_S = 0.1
PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when its parent ends


class RunInterruptedError(KeyboardInterrupt):
    """A signal ended the run in order; all that it had is saved, or there was nothing to save yet.

    No `Exception`, so that no library takes it for an error of its own.
    """


class Interruption:
    """Whether a run is to stop. `learner_steps` tells how many updates it has made, once a mode has set it.

    A plain flag and no threading.Event: a signal may come while its main thread holds the lock of one, for which its
    handler, in the same thread, would wait for ever.
    """

    def __init__(self) -> None:
        self.learner_steps: Callable[[], int] = lambda: 0
        self._is_set = False
        self._raises = False
        self._is_noting = False

    def set(self) -> None:
        """Have the run stop."""
        self._is_set = True

    def is_set(self) -> bool:
        """Return whether the run is to stop."""
        return self._is_set

    def wait(self, timeout_s: float) -> bool:
        """Wait for so long at most; return whether the run is to stop."""
        end = time.monotonic() + timeout_s
        while not self._is_set and (left_s := end - time.monotonic()) > 0:
            time.sleep(min(left_s, _POLL_S))
        return self._is_set

    @contextmanager
    def listening(self) -> Iterator[Interruption]:
        """Have the signals set this, and a second one raise KeyboardInterrupt."""
        # Under nohup the end of the terminal is to be ignored.
        ignored = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else set()
        before = {number: signal.signal(number, self._note) for number in SIGNALS if number not in ignored}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Have the first signal raise RunInterruptedError at once: within is nothing that must be completed."""
        self._raises = True
        try:
            self.check()
            yield
        finally:
            self._raises = False

    def check(self) -> None:
        """Raise RunInterruptedError if the run is to stop."""
        if self.is_set():
            raise RunInterruptedError

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._is_noting:  # it comes twice at once, as of a parent's threads: that is one
            return
        if self.is_set():
            raise KeyboardInterrupt
        self._is_noting = True
        self.set()
        _forget_parent()
        with contextlib.suppress(OSError):  # the terminal may be gone
            # Past Python's streams: the code that was interrupted may be writing to them.
            os.write(_STANDARD_ERROR, _ACKNOWLEDGED)
        self._is_noting = False
        if self._raises:
            raise RunInterruptedError


def _forget_parent() -> None:
    """Have no signal of a parent's end any more: its threads, and who adopts this process, end one by one."""
    library = ctypes.CDLL(None)
    if hasattr(library, "prctl"):
        library.prctl(PR_SET_PDEATHSIG, 0)
