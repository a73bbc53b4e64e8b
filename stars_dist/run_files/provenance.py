"""Provenance: what made a run, so that its figures can be made again."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from stars_dist import __version__

PACKAGES = ("ray", "torch", "numpy", "metaworld", "mujoco", "gymnasium", "tensorboard")


def provenance(seed: int, presets: str, origins: Mapping[str, str]) -> dict[str, Any]:
    """Record a launch: command, commit, versions, seed, and where each value that is no default came from."""
    return this_start() | {"seed": seed, "presets": presets, "origins": dict(origins), "resumes": []}


def this_start() -> dict[str, Any]:
    """Record this start of the program, be it a launch or a resume."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": source_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {"stars-dist": __version__} | {name: metadata.version(name) for name in PACKAGES},
    }


def source_commit() -> str | None:
    """Find the commit of the source tree, with `-dirty` when it differs; None outside a git checkout."""
    source = Path(__file__).resolve().parent
    command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
