"""A check of the doctor: what was looked at, what was found, and the fix."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from stars_dist.monitor.terminal import folded


class Verdict(StrEnum):
    """How a check went: a warning slows or limits runs, a failure keeps them from starting."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"


class Check(NamedTuple):
    """One row."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""  # of what is no PASS


def passed(name: str, found: str) -> Check:
    """Make a row of what is as it should be."""
    return Check(name, Verdict.PASS, found)


def table(checks: Sequence[Check], columns: int | None = None) -> str:
    """Format the rows, the fix under each that is no PASS, and a last line that counts them.

    What is wider than a terminal of so many columns goes on below itself.
    """
    width = max(len(check.name) for check in checks)
    indent = width + 8
    lines = []
    for check in checks:
        lines.append(folded(f"{check.verdict.value}  {check.name:{width}}  {check.found}", columns, indent))
        if check.fix and check.verdict is not Verdict.PASS:
            lines.append(folded(f"{'':{indent}}fix: {check.fix}", columns, indent + 5))
    counts = [f"{sum(check.verdict is v for check in checks)} {v.value}" for v in Verdict]
    return "\n".join([*lines, ", ".join(counts)])
