"""The locked versions: each can be installed on the oldest Python that the project takes."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent


def test_every_locked_version_takes_the_oldest_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = f"{project['requires-python'].removeprefix('>=')}.0"
    refused, looked_at = [], 0
    for name, version in re.findall(r"^([\w.\-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(), re.M):
        try:
            found = metadata.metadata(name)
        except metadata.PackageNotFoundError:  # of an extra that is not installed here
            continue
        if found["Version"].split("+")[0] == version:
            looked_at += 1
            if not SpecifierSet(found["Requires-Python"] or "").contains(oldest):
                refused.append(f"{name}=={version} needs Python {found['Requires-Python']}")
    assert looked_at > 100 and not refused
