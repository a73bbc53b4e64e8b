"""Modules that a run's suite imports: whoever resumes or evaluates the run of another would run their code."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

VARIABLE = "STARS_DIST_ALLOW_IMPORTS"  # the names of modules that may be imported, separated by commas


def imported_modules(suite: str) -> list[str]:
    """List the modules that a suite names, as `gym:package.module:Environment-v0` does."""
    if not suite.strip().startswith("gym:"):
        return []
    tasks = suite.strip().removeprefix("gym:").split(",")
    return sorted({module.strip() for task in tasks if (module := task.rpartition(":")[0])})


def check_imports(suite: str, config_file: Path) -> None:
    """Refuse a configuration that was read from a file if its suite imports what was not asked for.

    Raises:
        ValueError: names the modules and how they are allowed.
    """
    allowed = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")}
    foreign = [name for name in imported_modules(suite) if name not in allowed]
    if foreign:
        raise ValueError(
            f"the suite of a run may import a module only if it is asked to, {config_file} names "
            f"{', '.join(foreign)}, whose code would run here; if it is yours, set {_assignment(suite)}"
        )


def permission(suite: str) -> str:
    """Return what a command that reads the run again begins with: nothing where the suite imports nothing."""
    return f"{_assignment(suite)} " if imported_modules(suite) else ""


def _assignment(suite: str) -> str:
    return f"{VARIABLE}={shlex.quote(','.join(imported_modules(suite)))}"
