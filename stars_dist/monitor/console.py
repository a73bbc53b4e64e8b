"""The console: progress for a person, one line where the output is a terminal, plain lines where it is not."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from typing import TextIO

LINE_EVERY_S = 5.0
REPAINT_EVERY_S = 0.5


class Console:
    """Prints what the program is doing, and again at least every few seconds, so that silence means a fault.

    `phase` names what is in progress; `progress` replaces its detail. A thread repeats the newest of both. What cannot
    be written, to a closed pipe or a full disk, is lost and nothing else.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout  # None where the program has no output
        self._is_terminal = self._stream is not None and self._stream.isatty()
        self._started = time.monotonic()
        self._last_line = self._started
        self._detail: str | None = None
        self._painted = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._repeat, name="console", daemon=True).start()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start of the program's work."""
        return time.monotonic() - self._started

    def line(self, text: str) -> None:
        """Print a line that stays."""
        with self._lock:
            self._print(text)

    def error(self, text: str) -> None:
        """Print a line on standard error."""
        with self._lock:
            self._wipe()
            _write(sys.stderr, f"{text}\n")

    def phase(self, text: str) -> None:
        """Begin a phase: print it and repeat it while it lasts."""
        with self._lock:
            self._detail = text
            self._print(f"{self._clock()} {text}")

    def progress(self, text: str) -> None:
        """Replace the detail of the phase in progress; it is shown at the next repetition."""
        with self._lock:
            self._detail = text

    def close(self) -> None:
        """End the repetition and wipe its line."""
        self._closed.set()
        with self._lock:
            self._wipe()
            self._detail = None

    def _repeat(self) -> None:
        while not self._closed.wait(REPAINT_EVERY_S):
            with self._lock:
                if self._detail is None:
                    continue
                if self._is_terminal:
                    self._paint(f"{self._clock()} {self._detail}")
                elif time.monotonic() - self._last_line >= LINE_EVERY_S:
                    self._print(f"{self._clock()} {self._detail}")

    def _clock(self) -> str:
        return f"[{self.elapsed_s:6.1f} s]"

    def _print(self, text: str) -> None:
        self._wipe()
        self._write(f"{text}\n")
        self._last_line = time.monotonic()

    def _paint(self, text: str) -> None:
        self._wipe()
        self._write(text[: shutil.get_terminal_size().columns - 1])
        self._painted = True

    def _wipe(self) -> None:
        if self._painted:
            self._write("\r\x1b[2K")
            self._painted = False

    def _write(self, text: str) -> None:
        _write(self._stream, text)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        discard_unwritten(stream)


def discard_unwritten(stream: TextIO) -> None:
    """Empty the buffer of a stream that cannot be written to, or each later flush, the one at exit too, would fail."""
    with contextlib.suppress(OSError, ValueError):  # a stream that is no file cannot be redirected
        descriptor = stream.fileno()
        place = os.dup(descriptor)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        stream.flush()
        os.dup2(place, descriptor)  # a disk may have room again
        os.close(place)
        os.close(nowhere)
