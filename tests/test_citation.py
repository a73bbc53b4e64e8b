"""The citation file has what CFF 1.2.0 requires, and says what the package and the licence say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def test_citation_is_whole_and_agrees_with_the_package() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()  # what the format requires
    assert citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"]) == (project["name"], project["version"])
    assert (citation["type"], citation["license"]) == ("software", "MIT")
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    for entry in citation["references"]:
        assert {"type", "title", "authors"} <= entry.keys()
    assert any("2406.00761" in entry["url"] for entry in citation["references"])
