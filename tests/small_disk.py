"""A small file system of its own, which a test fills and gives room."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


class SmallDisk:
    """A tmpfs of a few kilobytes over a directory; the test is skipped where it may not mount one."""

    def __init__(self, path: Path, size: str) -> None:
        self.path = path
        self._filler = path / "filler"
        path.mkdir(parents=True, exist_ok=True)
        self._mount(f"size={size}")

    def resize(self, size: str) -> None:
        """Give it another size."""
        self._mount(f"remount,size={size}")

    def fill(self) -> None:
        """Leave no room at all."""
        with self._filler.open("ab", buffering=0) as file:
            for block in (1 << 20, 4096):
                try:
                    while file.write(bytes(block)) == block:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Give back what `fill` took."""
        self._filler.unlink()

    def close(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", "-l", self.path], check=False, capture_output=True)

    def _mount(self, options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            pytest.skip("this test needs the right to mount")
