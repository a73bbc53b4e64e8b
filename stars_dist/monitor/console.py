"""The console: progress for a person, redrawn in place on a terminal, plain lines where the output is none."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from typing import TextIO

from stars_dist.monitor.pace import duration_words
from stars_dist.monitor.progress import Progress, fitting, status_parts
from stars_dist.monitor.terminal import can_repaint, columns_of

LINE_EVERY_S = 5.0
LONGEST_LINE_EVERY_S = 60.0  # of a long run, whose log would have a line every five seconds for days
REPAINT_EVERY_S = 0.5


class Console:
    """Prints what the program is doing, and again at least every few seconds, so that silence means a fault.

    `phase` names what is in progress; `progress` replaces its detail. A thread repeats the newest of both: in place on
    a terminal, as lines where the output is none, or is to have no colours (NO_COLOR, a dumb terminal). What
    cannot be written, to a closed pipe or a full disk, is lost and nothing else.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout  # None where the program has no output
        self._is_terminal = can_repaint(self._stream)
        self._started = time.monotonic()
        self._last_line = self._started
        self._detail: str | Progress | None = None
        self._painted_lines = 0
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

    def progress(self, detail: str | Progress) -> None:
        """Replace the detail of the phase in progress; it is shown at the next repetition."""
        with self._lock:
            self._detail = detail

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
                    self._paint(self._picture(self._detail))
                elif time.monotonic() - self._last_line >= self._line_every_s:
                    self._print(self._plain(self._detail))

    @property
    def _line_every_s(self) -> float:
        return min(max(LINE_EVERY_S, self.elapsed_s / 60), LONGEST_LINE_EVERY_S)

    def _picture(self, detail: str | Progress) -> str:
        columns, rows = shutil.get_terminal_size()
        if isinstance(detail, str):
            return f"{self._clock()} {detail}"[: columns - 1]
        from stars_dist.monitor.live_view import live_view  # rich takes a tenth of a second

        return live_view(detail, f"{duration_words(self.elapsed_s)} so far", columns, rows)

    def _plain(self, detail: str | Progress) -> str:
        width = columns_of(self._stream)
        parts = [detail] if isinstance(detail, str) else status_parts(detail)
        clock = self._clock()
        return f"{clock} {fitting(parts, None if width is None else width - len(clock) - 1)}"

    def _clock(self) -> str:
        return f"[{self.elapsed_s:6.1f} s]"

    def _print(self, text: str) -> None:
        self._wipe()
        self._write(f"{text}\n")
        self._last_line = time.monotonic()

    def _paint(self, text: str) -> None:
        """Draw over what was drawn before, in one write, so that nothing flickers."""
        self._write(f"{self._wiping()}{text}")
        self._painted_lines = text.count("\n") + 1

    def _wipe(self) -> None:
        if self._painted_lines:
            self._write(self._wiping())
            self._painted_lines = 0

    def _wiping(self) -> str:
        """Return what moves to the start of the newest drawing and clears all from there."""
        if not self._painted_lines:
            return ""
        up = self._painted_lines - 1
        return ("\r" + f"\x1b[{up}A" * bool(up)) + "\x1b[J"

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
