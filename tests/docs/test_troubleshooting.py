"""Troubleshooting quotes lines that the program prints."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
QUOTED = re.findall(r"^\| (`.+?)(?= \|)", PAGE, re.M)
OPEN = "\x00"  # where a value stands in a message


def messages() -> str:
    """Every text of the sources, values left open, one per line."""
    lines = []
    for package in ("stars_dist", "actors", "learner", "replay_service"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    lines.append(
                        "".join(str(p.value) if isinstance(p, ast.Constant) else OPEN for p in node.values)
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    lines.append(node.value)
    return "\n".join(lines)


MESSAGES = messages()


@pytest.mark.parametrize("row", QUOTED)
def test_the_line_is_one_that_the_sources_have(row: str) -> None:
    for part in re.findall(r"`([^`]+)`", row):
        assert part in MESSAGES, part


def test_the_page_has_a_line_for_every_kind() -> None:
    assert len(QUOTED) >= 40
    assert "doctor" in PAGE and "failures.log" in PAGE
