"""The console writes for a person; output that cannot be written costs the run nothing."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from stars_dist.monitor.console import Console


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
