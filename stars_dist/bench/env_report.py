"""How the timings of `stars-dist bench env` are shown: a table, a picture, and files that hold how they were made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stars_dist.bench.env import TaskTiming, summary

_COLUMNS = "| task | stock us | fast us | floor us | speed-up | fast / floor | reset speed-up |"


def table(timings: Sequence[TaskTiming]) -> str:
    """Format the timings as a Markdown table, which a terminal shows as well."""
    lines = [_COLUMNS, "| --- |" + " ---: |" * 6]
    for t in timings:
        lines.append(
            f"| {t.name} | {t.stock_us:.0f} | {t.fast_us:.0f} | {t.floor_us:.0f} | {t.speedup:.2f} "
            f"| {t.floor_ratio:.2f} | {t.reset_speedup:.0f} |"
        )
    return "\n".join([*lines, "", verdict(timings)])


def verdict(timings: Sequence[TaskTiming]) -> str:
    """Summarize the suite in one sentence."""
    figures = summary(timings)
    return (
        f"Geometric mean over {len(timings)} tasks: {figures['speedup_geomean']:.2f} times as fast as stock "
        f"(at least {figures['speedup_min']:.2f}), {figures['floor_ratio_geomean']:.2f} times the floor."
    )


def write(directory: Path, timings: Sequence[TaskTiming], actions: str, made_by: Mapping[str, Any]) -> None:
    """Write `env-<actions>.json`, `.md` and `.png`; the first two hold how they were made."""
    directory.mkdir(parents=True, exist_ok=True)
    record = {**summary(timings), "actions": actions, "made_by": dict(made_by)}
    (directory / f"env-{actions}.json").write_text(json.dumps(record, indent=1) + "\n")
    (directory / f"env-{actions}.md").write_text(page(record, timings))
    plot(directory / f"env-{actions}.png", timings, actions)


def page(record: Mapping[str, Any], timings: Sequence[TaskTiming]) -> str:
    """Format the page: how it was made, the picture and the table."""
    made_by, actions = record["made_by"], record["actions"]
    versions = ", ".join(f"{name} {made_by['versions'][name]}" for name in ("metaworld", "mujoco", "numpy"))
    return (
        f"# A step under {actions} actions\n\n`{made_by['command']}`, commit {made_by['commit']}, seed "
        f"{made_by['seed']}, {versions}, Python {made_by['python']}, {made_by['started']}.\n\n"
        f"![time per step](env-{actions}.png)\n\n{table(timings)}\n"
    )


def plot(path: Path, timings: Sequence[TaskTiming], actions: str) -> None:
    """Draw the time per step of every task, the slowest of stock first: floor, ours above it, stock above both."""
    from matplotlib.figure import Figure

    ordered = sorted(timings, key=lambda timing: timing.stock_us)
    names = [timing.name.removesuffix("-v3") for timing in ordered]
    figure = Figure(figsize=(8, 2 + 0.19 * len(ordered)), layout="constrained")
    axes = figure.add_subplot()
    for label, values, colour in (
        ("stock Meta-World", [timing.stock_us for timing in ordered], "#c9c9c9"),
        ("stars-dist", [timing.fast_us for timing in ordered], "#2a6fbb"),
        ("MuJoCo alone", [timing.floor_us for timing in ordered], "#12304f"),
    ):
        axes.barh(names, values, label=label, color=colour)
    axes.set_xlabel(f"microseconds per step, median, {actions} actions")
    axes.tick_params(axis="y", labelsize=8)
    axes.margins(y=0.01)
    axes.legend(loc="lower right")
    axes.set_title(verdict(timings), fontsize=8)
    figure.savefig(path, dpi=120)
