"""metrics.jsonl: one JSON object per line, stamped with the run's three clocks."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from replay_service.atomic_file import atomic_file
from replay_service.full_disk import DiskPause
from stars_dist.monitor.append_file import AppendFile
from stars_dist.run_files.recorded import Kept, Learning, MetricsEnd


class Clocks(NamedTuple):
    """What a line is stamped with."""

    env_steps: int
    learner_steps: int
    wall_time_s: float


# A line as MetricsFile writes it: the clocks, then values by names without braces. To parse all of it takes far longer.
_WHOLE_LINE = re.compile(
    rb'\{"env_steps": (\d+), "learner_steps": (\d+), "wall_time_s": (\d+(?:\.\d+)?)(?:, "[^{}]*)?\}\n?'
)


class MetricsFile:
    """Appends metric lines to a file; a killed run keeps all but the one in the making."""

    def __init__(self, path: Path, pause: DiskPause) -> None:
        self._file = AppendFile(path, pause)

    def write(self, clocks: Clocks, values: Mapping[str, float]) -> None:
        """Append a line of the values that are finite."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._file.append(f"{json.dumps(clocks._asdict() | finite)}\n".encode())

    @property
    def size_bytes(self) -> int:
        """The size of the file so far."""
        return self._file.size_bytes

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path, from_steps: int = 0) -> Iterator[dict[str, float]]:
    """Read the lines of a metrics file; those that a crash cut short or that are damaged are left out."""
    for line in _lines(path):
        clocks = _clocks(line) if from_steps else None  # cheap: most lines need not be parsed
        if clocks is not None and clocks.env_steps < from_steps:
            continue
        if (values := parse_line(line)) is not None:
            yield values


def read_first_of_windows(
    path: Path, window_steps: int, prefixes: Sequence[str]
) -> Iterator[dict[str, float]]:
    """Read of each window of environment steps the first line with a metric of each prefix, and parse no other."""
    marks = [f'"{prefix}'.encode() for prefix in prefixes]
    seen: set[tuple[int, bytes]] = set()
    for line in _lines(path):
        clocks = _clocks(line)
        if clocks is None:
            continue
        new = {(clocks.env_steps // window_steps, mark) for mark in marks if mark in line} - seen
        if new and (values := parse_line(line)) is not None:
            seen |= new
            yield values


def recorded_learning(path: Path) -> Learning:
    """Find how far a metrics file tells that the learner came; nothing without a file."""
    clocks = [found for line in _lines(path) if (found := _clocks(line)) and found.learner_steps]
    if not clocks:
        return Learning(0, 0.0)
    return Learning(max(c.learner_steps for c in clocks), clocks[-1].wall_time_s - clocks[0].wall_time_s)


def cut_metrics(path: Path, end: MetricsEnd) -> Kept:
    """Drop damaged lines and those beyond `end`; return what is left.

    One line at a time, of which the clocks alone are parsed: of many tasks a file has gigabytes.
    """
    wall_time_s, reported, evaluated_at, size_bytes = 0.0, 0, 0, 0
    with atomic_file(path) as file:
        for line in _lines(path):
            size_bytes += len(line)
            clocks = _clocks(line)
            if clocks is None or not end.includes(clocks.env_steps, size_bytes):
                continue
            file.write(line.rstrip(b"\n") + b"\n")
            wall_time_s = max(wall_time_s, clocks.wall_time_s)
            if b'"train/' in line:
                reported = max(reported, clocks.learner_steps)
            if b'"eval/' in line:
                evaluated_at = max(evaluated_at, clocks.env_steps)
    return Kept(wall_time_s, reported, evaluated_at)


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file


def _clocks(line: bytes) -> Clocks | None:
    """Read the clocks of a line; None where it is damaged."""
    if (match := _WHOLE_LINE.fullmatch(line)) is not None:
        return Clocks(int(match[1]), int(match[2]), float(match[3]))
    values = parse_line(line)
    return None if values is None else Clocks(*(values[clock] for clock in Clocks._fields))  # pyright: ignore[reportArgumentType]


def parse_line(line: bytes) -> dict[str, float] | None:
    """Parse one line; None where it is damaged."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    is_whole = isinstance(values, dict) and all(clock in values for clock in Clocks._fields)
    return values if is_whole else None
