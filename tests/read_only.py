"""A directory that is mounted read-only, as another's results on a shared disk are."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Keep a directory from being written to; the test is skipped where it may not mount."""
    commands = (["mount", "--bind", place, place], ["mount", "-o", "remount,bind,ro", place])
    if subprocess.run(commands[0], check=False, capture_output=True).returncode:
        pytest.skip("this test needs the right to mount")
    try:
        subprocess.run(commands[1], check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=False, capture_output=True)
