"""The replay benchmark: cpprb beside ours, inserts, Ray, growth and snapshot stalls, all from one run."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from stars_dist.bench.replay_in_process import (
    GrowthPoint,
    measure_cycles,
    measure_growth,
    measure_inserts,
    measure_snapshot_stall,
)
from stars_dist.bench.replay_ray import measure_ray

PLOT_FILE, REPORT_FILE = "replay-growth.png", "replay.md"


class ReplayFigures(NamedTuple):
    """All that the benchmark measures; None: cpprb is not installed."""

    cycle_ms: float
    cpprb_cycle_ms: float | None
    ratio_cpprb: float | None
    inserts_per_s_memory: float
    inserts_per_s_mapped: float
    ray_batches_per_s: float
    ray_inserts_per_s: float
    snapshot_stall_p99_ms: float
    rest_p99_ms: float
    growth: list[GrowthPoint]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        values = {name: round(v, 3) if isinstance(v, float) else v for name, v in self._asdict().items()}
        return values | {"growth": [point._asdict() for point in self.growth]}


def measure(
    rounds: int, ray_seconds: float, batches_per_call: int, log: Callable[[str], None]
) -> ReplayFigures:
    """Measure every part in turn, the repeated ones `rounds` times; `log` receives the name of each as it begins."""
    log("sample + weights + update beside cpprb")
    cycles = measure_cycles(rounds)
    log("inserts, in memory and mapped")
    inserts = measure_inserts(rounds)
    log("growth with transitions and tables")
    growth = measure_growth(rounds)
    log("samples beside a snapshot")
    stall = measure_snapshot_stall(500 * rounds)
    log("two shards, two actors and a learner through Ray")
    through_ray = measure_ray(ray_seconds, batches_per_call)
    theirs = cycles.cpprb_cycle_ms
    return ReplayFigures(
        cycles.cycle_ms,
        theirs,
        None if theirs is None else theirs / cycles.cycle_ms,
        inserts["memory"],
        inserts["mapped"],
        through_ray["batches_per_s"],
        through_ray["inserts_per_s"],
        stall["snapshot_p99_ms"],
        stall["rest_p99_ms"],
        growth,
    )


def table(figures: ReplayFigures) -> str:
    """Format the figures with their targets as Markdown, which a terminal shows as well."""
    theirs, ratio = figures.cpprb_cycle_ms, figures.ratio_cpprb
    mapped_cost = 1 - figures.inserts_per_s_mapped / figures.inserts_per_s_memory
    rows = [
        ("sample + weights + update, 10 x 128 rows of 10 x 100 k", f"{figures.cycle_ms:.2f} ms", ""),
        ("the same with cpprb", "not installed" if theirs is None else f"{theirs:.2f} ms", ""),
        ("times as fast as cpprb", "-" if ratio is None else f"{ratio:.2f}", "2"),
        ("inserts in `memory`, chunks of 500", f"{figures.inserts_per_s_memory / 1e6:.2f} M/s", "1 M/s"),
        (
            "inserts in `mapped`",
            f"{figures.inserts_per_s_mapped / 1e6:.2f} M/s ({mapped_cost:.0%} slower)",
            "",
        ),
        ("batches of 1280 through Ray, 2 shards", f"{figures.ray_batches_per_s:.0f} /s", "150 /s"),
        ("transitions inserted beside them, 2 actors", f"{figures.ray_inserts_per_s:.0f} /s", ""),
        ("cycle, 99th percentile, at rest", f"{figures.rest_p99_ms:.1f} ms", ""),
        (
            "cycle, 99th percentile, while a snapshot is written",
            f"{figures.snapshot_stall_p99_ms:.1f} ms",
            "below 100 ms",
        ),
    ]
    lines = ["| what | measured | target |", "| --- | ---: | ---: |"]
    lines += [f"| {what} | {value} | {target} |" for what, value, target in rows]
    return "\n".join([*lines, "", _growth_table(figures.growth)])


def _growth_table(growth: list[GrowthPoint]) -> str:
    lines = [
        "| tables | transitions | rows drawn | sample + weights + update | uniform draw |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {p.tables:,} | {p.transitions:,} | {p.rows:,} | {p.cycle_ms:.2f} ms | {p.uniform_ms:.2f} ms |"
        for p in growth
    ]
    return "\n".join(lines)


def write_report(figures: ReplayFigures, command: str, directory: Path) -> None:
    """Write `replay.md` and the plot of the growth into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    plot(figures.growth, directory / PLOT_FILE)
    versions = ", ".join(f"{name} {_version(name)}" for name in ("numpy", "ray", "cpprb"))
    (directory / REPORT_FILE).write_text(
        f"# Replay service: what was measured\n\n"
        f"    {command}\n\n"
        f"One run, {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions}. "
        f"The command writes this page.\n\n"
        f"{table(figures)}\n\n"
        f"![Time of one batch as the replay grows]({PLOT_FILE})\n\n{EXPLANATION}"
    )


EXPLANATION = """\
- A cycle is everything that a learner's update asks of the replay: task quotas, draws, importance weights with one
  mean, the assembled batch, and the priorities back. cpprb has a buffer per task, draws 128 rows from each and
  updates them; its rows stay in ten pieces and its weights have a maximum per buffer, which favours it.
- The growth answers what the method's overhead is, a question that the paper leaves open: with transitions the time of
  a batch grows as the depth of the sum tree and the misses of the cache do, and with tables (1 M transitions shared
  out among them, a batch of 2,000 rows) by what the bookkeeping of a table costs. A uniform draw of as many bytes is
  given beside it.
- Through Ray one process does nothing but draw and return priorities; mapped storage, batches per call as in the
  command.
"""


def plot(growth: list[GrowthPoint], path: Path) -> None:
    """Draw the time per batch against transitions of one table, and against tables."""
    import matplotlib  # pyright: ignore[reportMissingImports] - comes with the bench extra

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), sharey=True)
    labels = {"transitions": "transitions in one table", "tables": "tables, 1 M transitions in all"}
    for panel, (axis, label) in zip(panels, labels.items(), strict=True):
        points = [point for point in growth if point.axis == axis]
        size = [getattr(point, axis) for point in points]
        panel.plot(size, [p.cycle_ms for p in points], "o-", label="sample + weights + update")
        panel.plot(size, [p.uniform_ms for p in points], "s--", color="0.5", label="uniform draw")
        panel.set(xscale="log", xlabel=label, title=f"{points[0].rows:,} rows")
        panel.grid(alpha=0.3)
    panels[0].set(ylabel="ms per batch", ylim=(0, None))
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
