"""docs/metrics.md: every metric with its unit and what is healthy."""

from __future__ import annotations

from collections.abc import Iterator

from stars_dist.monitor.metric_descriptions import DESCRIPTIONS
from stars_dist.reference.table import code, table

GROUPS = {
    "overview": "On one screen",
    "eval": "Evaluations",
    "rollout": "Training episodes",
    "health": "Health",
    "sampling": "Sampling",
    "replay": "Replay",
    "perf": "Speed and processes",
    "train": "The learner",
    "run": "Texts",
}
INTRODUCTION = """\
Every metric is in `metrics.jsonl` of the run directory and in TensorBoard, where its description is the "i" of its
chart, against the environment steps of all tasks. A name that ends in `<task>` is there once per task,
`perf/restarts/<process>` once per kind of process. T is the number of tasks, K that of the pool's slices, F the size
of the unique features. Where "healthy" is empty, the value itself says nothing good or bad.
"""


def metrics_page() -> str:
    """Write the page."""
    lines = ["# Metrics", "", INTRODUCTION]
    for group, title in GROUPS.items():
        lines += [f"## {title}", "", *table(("metric", "what", "unit", "healthy"), _rows(group)), ""]
    return "\n".join(lines)


def _rows(group: str) -> Iterator[tuple[str, ...]]:
    for name, meaning in DESCRIPTIONS.items():
        if name.startswith(f"{group}/"):
            per = "<process>" if name == "perf/restarts/" else "<task>"
            yield code(name + per * name.endswith("/")), *meaning
