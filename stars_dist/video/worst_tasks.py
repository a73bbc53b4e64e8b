"""The worst tasks of a run: those that its newest evaluation found so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stars_dist.monitor.metrics_tail import read_tail
from stars_dist.run_files.directory import RunDirectory


def worst_tasks(run_or_checkpoint: Path, names: Sequence[str], count: int) -> list[str]:
    """Name the tasks of least success, then of least return; the first ones where nothing was evaluated yet."""
    places = (run_or_checkpoint, *run_or_checkpoint.absolute().parents[:2])
    run = next((RunDirectory(place) for place in places if (place / "config.yaml").is_file()), None)
    tail = None if run is None else read_tail(run.metrics_file)
    values = {} if tail is None else tail.values

    def rank(name: str) -> tuple[float, float]:
        return values.get(f"eval/success/{name}", 0.0), values.get(f"eval/return/{name}", 0.0)

    return sorted(names, key=rank)[:count]
