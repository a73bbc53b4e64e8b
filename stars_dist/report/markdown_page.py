"""A report as Markdown: findings, methods side by side, pictures, every task of every seed, and the commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from stars_dist.report.comparison import Comparison
from stars_dist.report.figures import FIGURES, picture_path
from stars_dist.report.words import findings, number, setting, shared_settings, summary_header, summary_row


def markdown_page(title: str, comparison: Comparison, out: Path, command: str) -> str:
    """Format the page that lies at `out`, beside its pictures."""
    lines = [f"# {title}", "", f"Written by `{command}`.", "", setting(comparison), ""]
    lines += [*(f"- {finding}" for finding in findings(comparison)), ""]
    lines += [line for note in comparison.notes for line in (f"> **Note.** {note}", "")]
    lines += [*_summary(comparison), ""]
    for figure in FIGURES:
        lines += [f"## {figure.title}", "", f"![{figure.title}]({picture_path(out, figure).name})", ""]
        lines += [figure.caption, ""]
    lines += ["## Final score of every task and seed", "", *_tasks(comparison), ""]
    lines += ["## Runs", "", shared_settings(comparison.runs), "", *_runs(comparison)]
    return "\n".join(lines) + "\n"


def _summary(comparison: Comparison) -> Iterator[str]:
    yield from _head(summary_header(comparison))
    for method in comparison.methods:
        yield _row(summary_row(comparison, method))


def _tasks(comparison: Comparison) -> Iterator[str]:
    """Yield a row for each task, or where there are more runs than tasks a row for each run."""
    runs = [f"{method.name}, seed {run.seed}" for method in comparison.methods for run in method.runs]
    scores = np.concatenate([method.scores for method in comparison.methods])
    is_wide = len(runs) > len(comparison.tasks)
    rows, columns = (runs, comparison.tasks) if is_wide else (comparison.tasks, runs)
    yield from _head(["run" if is_wide else "task", *columns])
    for name, row in zip(rows, scores if is_wide else scores.T, strict=True):
        yield _row([name, *(number(score, 2) for score in row)])


def _runs(comparison: Comparison) -> Iterator[str]:
    yield from _head(["method", "seed", "commit", "command"])
    for method in comparison.methods:
        for run in method.runs:
            yield _row([method.name, str(run.seed), (run.commit or "unknown")[:12], f"`{run.command}`"])


def _head(columns: Sequence[str]) -> Iterator[str]:
    yield _row(columns)
    yield _row(["---"] * len(columns))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
