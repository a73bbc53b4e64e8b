"""metrics.jsonl: one JSON object per line, stamped with the run's three clocks."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from replay_service.atomic_file import write_text


class Clocks(NamedTuple):
    """What a line is stamped with."""

    env_steps: int
    learner_steps: int
    wall_time_s: float


class MetricsFile:
    """Appends metric lines to a file; each line is flushed, so a killed run keeps all but the one in the making."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, clocks: Clocks, values: Mapping[str, float]) -> None:
        """Append a line of the values that are finite."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._file.write(json.dumps(clocks._asdict() | finite) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> Iterator[dict[str, float]]:
    """Read the lines of a metrics file; a last line that a crash cut short is left out."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def cut_metrics(path: Path, env_steps: int | None) -> float:
    """Drop a torn last line and the lines beyond `env_steps`; return the wall time reached so far, in s."""
    kept = [line for line in read_metrics(path) if env_steps is None or line["env_steps"] <= env_steps]
    write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
    return max((line["wall_time_s"] for line in kept), default=0.0)
