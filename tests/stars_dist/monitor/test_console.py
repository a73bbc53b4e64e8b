"""The console writes for a person; output that cannot be written costs the run nothing."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import time
from pathlib import Path

import pytest

from stars_dist.monitor.console import Console
from tests.stars_dist.monitor.sample_progress import PROGRESS


def test_lines_and_phases_are_written() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.line("a line")
    console.phase("a phase")
    console.close()
    assert stream.getvalue().startswith("a line\n[   0.0 s] a phase\n")


def test_a_pipe_whose_reader_has_ended_costs_output_alone() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        console = Console(stream)
        os.close(reader)
        for _ in range(3):
            console.line("a line")
        console.close()
    # closing the stream flushes it: nothing may be left that fails then


def test_a_full_disk_costs_output_alone(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as stream:
        console = Console(stream)
        console.line("a line")
        console.close()


def test_without_any_output_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    console = Console()
    console.line("a line")
    console.close()


def test_a_terminal_is_drawn_on_in_place_and_lines_stay_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("stars_dist.monitor.console.REPAINT_EVERY_S", 0.05)
    screen = shown_on_a_terminal(columns=60)
    assert screen[0] == "a line that stays" and screen[1].startswith("training  30%")
    assert sum("training" in line for line in screen) == 1
    assert all(len(line) < 60 for line in screen)


def test_without_colours_a_terminal_gets_plain_lines_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("stars_dist.monitor.console.REPAINT_EVERY_S", 0.05)
    monkeypatch.setattr("stars_dist.monitor.console.LINE_EVERY_S", 0.1)
    monkeypatch.setattr("stars_dist.monitor.console.LONGEST_LINE_EVERY_S", 0.1)
    screen = shown_on_a_terminal(columns=60)
    shown = [line for line in screen if "training 30%, 2.8 h left, success 0.45" in line]
    assert len(shown) > 1 and all(len(line) <= 60 for line in screen)


def shown_on_a_terminal(columns: int) -> list[str]:
    """Show progress on a pseudo-terminal, and a line in between; return what is on its screen."""
    controller, terminal = pty.openpty()
    os.set_blocking(controller, False)
    with os.fdopen(terminal, "w", encoding="utf-8") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setenv("LINES", "24")
        console = Console(stream)
        console.progress(PROGRESS)
        written = read_for(0.5, controller)
        console.line("a line that stays")
        written += read_for(0.5, controller)
        console.close()
    os.close(controller)
    return screen_of(written.decode(errors="ignore"))


def read_for(seconds: float, controller: int) -> bytes:
    """Read what a terminal shows, which would block its writer otherwise."""
    written, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            written += os.read(controller, 1 << 16)
        time.sleep(0.01)
    return written


def screen_of(written: str) -> list[str]:
    """Follow what moves on a terminal: line feeds, carriage returns, cursor up, clear below; colours are dropped."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if up := re.fullmatch(r"\x1b\[(\d+)A", token):
            row -= int(up[1])
        elif token == "\x1b[J":
            lines = [*lines[:row], ""]
        elif token == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif not token.startswith("\x1b") and token != "\r":
            lines[row] += token
    return [line.rstrip() for line in lines if line.strip()]
