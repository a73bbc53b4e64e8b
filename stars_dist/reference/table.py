"""A table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Format rows; a bar within a cell is escaped, as it would end the cell."""
    lines = [_row(head), _row(["---"] * len(head))]
    return [*lines, *(_row(row) for row in rows)]


def code(text: str) -> str:
    """Format code within a cell; empty for none."""
    return f"`{text}`" if text else ""


def _row(cells: Sequence[str]) -> str:
    escaped = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"
