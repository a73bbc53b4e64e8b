"""The terminal: whether it may be drawn on, how wide it is, and lines that fit."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import TextIO


def can_repaint(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal that can be drawn on, with characters for bars, and may have colours."""
    if stream is None or not stream.isatty() or os.environ.get("NO_COLOR"):
        return False
    return os.environ.get("TERM") != "dumb" and "utf" in (stream.encoding or "").lower()


def columns_of(stream: TextIO | None) -> int | None:
    """Return the width of a terminal; None for what is none and takes lines of any length."""
    return shutil.get_terminal_size().columns if stream is not None and stream.isatty() else None


def folded(line: str, columns: int | None, indent: int) -> str:
    """Break a line between words where it is wider than a terminal; what follows is indented."""
    if columns is None or len(line) <= columns:
        return line
    return textwrap.fill(
        line, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
