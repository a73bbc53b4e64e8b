"""The end of metrics.jsonl: its newest lines of each kind, found from the back, for a file may have gigabytes."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stars_dist.monitor.metrics import Clocks, parse_line

# Each kind of line by how a name begins that it alone has: of an evaluation, of the run's processes, of the learner.
_KINDS = (b'"eval/', b'"perf/env_steps_per_s"', b'"perf/updates_per_s"')
_EVALUATION, _PROCESSES, _LEARNER = _KINDS


class MetricsTail(NamedTuple):
    """What a run said last."""

    clocks: Clocks  # of its newest line
    values: Mapping[str, float]  # by name, the newest of each
    evaluated_at: int | None  # environment steps of the newest evaluation
    updates_per_s: float | None  # from the learner's first report on


def read_tail(path: Path) -> MetricsTail | None:
    """Read the newest values of a metrics file, also of one that is being written; None where it has no line yet."""
    if not path.is_file() or path.stat().st_size == 0:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
        found = {kind: line for kind in _KINDS if (line := _newest(lines, kind)) is not None}
        first = _line_at(lines, lines.find(_LEARNER))
    if not found:
        return None
    newest = max(found.values(), key=lambda line: line["wall_time_s"])
    values = {
        name: value for line in found.values() for name, value in line.items() if name not in Clocks._fields
    }
    evaluation, learner = found.get(_EVALUATION), found.get(_LEARNER)
    return MetricsTail(
        Clocks(
            max(int(line["env_steps"]) for line in found.values()),
            max(int(line["learner_steps"]) for line in found.values()),
            newest["wall_time_s"],
        ),
        values,
        None if evaluation is None else int(evaluation["env_steps"]),
        _rate(first, learner),
    )


def _rate(first: Mapping[str, float] | None, last: Mapping[str, float] | None) -> float | None:
    if first is None or last is None or last["wall_time_s"] <= first["wall_time_s"]:
        return None
    return (last["learner_steps"] - first["learner_steps"]) / (last["wall_time_s"] - first["wall_time_s"])


def _newest(lines: mmap.mmap, kind: bytes) -> dict[str, float] | None:
    """Find the newest whole line of a kind; the last of a file may be cut short."""
    place = len(lines)
    while (place := lines.rfind(kind, 0, place)) >= 0:
        if (line := _line_at(lines, place)) is not None:
            return line
    return None


def _line_at(lines: mmap.mmap, place: int) -> dict[str, float] | None:
    """Parse the line around a place; None where there is none, or it is damaged."""
    if place < 0:
        return None
    end = lines.find(b"\n", place)
    return parse_line(lines[lines.rfind(b"\n", 0, place) + 1 : end if end >= 0 else len(lines)])
