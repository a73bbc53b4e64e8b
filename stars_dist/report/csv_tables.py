"""A report as CSV for other programs: the final score of every task and seed, and every evaluation on the way."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from replay_service.atomic_file import write_text
from stars_dist.report.comparison import Comparison

FINAL_COLUMNS = (
    *("method", "seed", "task", "success_rate", "ci95_low", "ci95_high", "mean_return", "episodes", "failed"),
    *("env_steps", "minutes", "run"),
)
CURVE_COLUMNS = ("method", "seed", "task", "env_steps", "minutes")  # and the measure


def write_csv_tables(out: Path, comparison: Comparison) -> Iterator[Path]:
    """Write NAME.csv and NAME-evaluations.csv beside a page, one line per task."""
    tables = (
        (out.with_suffix(".csv"), FINAL_COLUMNS, _final(comparison)),
        (
            out.with_name(f"{out.stem}-evaluations.csv"),
            (*CURVE_COLUMNS, comparison.measure.name),
            _evaluations(comparison),
        ),
    )
    for path, columns, rows in tables:
        write_text(path, _text(columns, rows))
        yield path


def _text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def _final(comparison: Comparison) -> Iterator[Sequence[object]]:
    for method in comparison.methods:
        for run in method.runs:
            for task in run.evaluation.tasks:
                rate = [task.success_rate, *task.ci95] if task.has_success_flag else ["", "", ""]
                counts = [task.mean_return, task.n, task.failed]
                clocks = [run.evaluation.env_steps, round(run.minutes, 2), run.path]
                yield [method.name, run.seed, task.name, *rate, *counts, *clocks]


def _evaluations(comparison: Comparison) -> Iterator[Sequence[object]]:
    for method in comparison.methods:
        for run in method.runs:
            curve = run.evaluations
            for steps, minutes, scores in zip(curve.env_steps, curve.minutes, curve.scores, strict=True):
                for task, score in zip(comparison.tasks, scores, strict=True):
                    if not math.isnan(score):
                        yield [method.name, run.seed, task, steps, round(float(minutes), 3), score]
