"""The near name: what a person who mistyped a name may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Return the nearest known name as the end of an error's clause, or nothing where none is near."""
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return f", did you mean {near[0]!r}?" if near else ""
