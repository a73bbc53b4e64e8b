"""The console: progress for a person, one line where the output is a terminal, plain lines where it is not."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import TextIO

LINE_EVERY_S = 5.0
REPAINT_EVERY_S = 0.5


class Console:
    """Prints what the program is doing, and again at least every few seconds, so that silence means a fault.

    `phase` names what is in progress; `progress` replaces its detail. A thread repeats the newest of both.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._is_terminal = self._stream.isatty()
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
        print(text, file=self._stream, flush=True)
        self._last_line = time.monotonic()

    def _paint(self, text: str) -> None:
        self._wipe()
        self._stream.write(text[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()
        self._painted = True

    def _wipe(self) -> None:
        if self._painted:
            self._stream.write("\r\x1b[2K")
            self._painted = False
