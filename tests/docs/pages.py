"""The pages of the documentation, and the commands that stand in them for a reader to type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDS = "docs/results/"  # pages about what was run once, with the versions of that day
PAGES = sorted(
    name
    for path in ((ROOT / "docs").rglob("*.md"), (ROOT / "deploy").glob("*.md"), ROOT.glob("*.md"))
    for name in (str(page.relative_to(ROOT)) for page in path)
    if not name.startswith(RECORDS) and name != "CHANGELOG.md"
)
PROGRAMS = (
    "stars-dist",
    "tensorboard",
    "make",
    "source",
    "pip",
    "ray",
    "aws",
    "apt-get",
    "export",
    ".venv/bin/python",
    "python",
    "du",
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
INDENTED = re.compile(r"(?:^|\n)\n((?:    .*\n)+)")
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
ASSIGNMENT = re.compile(r"^(?:[A-Z_]+=\S+ +)+")


def commands() -> dict[str, list[str]]:
    """Find every command of every page, lines of blocks and spans of code; return the pages of each.

    A command is given without the comment after it and the assignments before it.
    """
    found: dict[str, list[str]] = {}
    for page in PAGES:
        for line in _lines((ROOT / page).read_text()):
            words = ASSIGNMENT.sub("", re.sub(r"\s+#.*$", "", line).strip())
            if words.split(" ")[0] in PROGRAMS and " " in words:
                found.setdefault(words, []).append(page)
    return found


def _lines(text: str) -> Iterator[str]:
    prose = FENCED.sub("", text)
    blocks = [body for language, body in FENCED.findall(text) if language in ("", "bash", "text")]
    for block in (*blocks, *INDENTED.findall(prose)):
        yield from (line.strip() for line in block.splitlines())
    for span in SPAN.findall(INDENTED.sub("\n", prose)):
        yield " ".join(span.split())


def python_blocks(page: str) -> list[str]:
    """Return the Python examples of a page, in their order."""
    return [body for language, body in FENCED.findall((ROOT / page).read_text()) if language == "python"]
