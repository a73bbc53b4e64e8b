"""A small disk of its own for a run, to be filled and freed: a tmpfs, where the right to mount is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_FILLER = "filler"


class SmallDisk:
    """A file system of `size_bytes` over an empty directory; without the right to mount it is just the directory."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path)]
        self.is_mounted = _succeeds(command)

    def fill(self) -> None:
        """Take all the room that there is."""
        filler = os.open(self.path / _FILLER, os.O_WRONLY | os.O_CREAT)
        try:
            while (free := _free_bytes(self.path)) > 0:
                os.posix_fallocate(filler, os.fstat(filler).st_size, free)
        except OSError:  # somebody else took a part of it meanwhile
            pass
        finally:
            os.close(filler)

    def free(self) -> None:
        """Give the room back."""
        (self.path / _FILLER).unlink(missing_ok=True)

    def close(self, keep: bool) -> None:
        """Unmount; with `keep` the files stay, in the directory itself."""
        self.free()
        if not self.is_mounted:
            return
        kept = self.path.with_name(f"{self.path.name}-kept")
        if keep:
            shutil.copytree(self.path, kept)
        _succeeds(["umount", "-l", str(self.path)])
        self.is_mounted = False
        if keep:
            self.path.rmdir()
            kept.rename(self.path)


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
