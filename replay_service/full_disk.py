"""A full disk: how it is recognised, named and told, and that what it has paused goes on."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

_FULL_ERRNO = {errno.ENOSPC, errno.EDQUOT}
# torch.save gives nothing but a text, and so does an error of another process
_FULL_TEXTS = (
    "No space left on device",
    "Disk quota exceeded",
    "PytorchStreamWriter failed",
    "inline_container.cc",
)


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error comes from a disk without room."""
    if isinstance(error, OSError) and error.errno in _FULL_ERRNO:
        return True
    return isinstance(error, OSError | RuntimeError) and any(text in str(error) for text in _FULL_TEXTS)


def disk_of(path: Path) -> str:
    """Name the disk that a path, which need not be there yet, lies on."""
    place = path.absolute()
    while not place.exists():
        place = place.parent
    free_mb = shutil.disk_usage(place).free / 1e6
    while not place.is_mount():
        place = place.parent
    return f"the disk at {place} ({free_mb:.1f} MB free)"


class DiskPause:
    """Tells once that a full disk pauses something, and once that it goes on."""

    def __init__(self, what: str, path: Path, tell: Callable[[str], None]) -> None:
        """Begin unpaused; `what` is plural, as it is said to pause."""
        self._what, self._path, self._tell = what, path, tell
        self.is_paused = False

    def refuse(self) -> None:
        """Note that the disk took nothing."""
        if not self.is_paused:
            self.is_paused = True
            self._tell(
                f"warning: {self._what} pause, {disk_of(self._path)} is full; they go on when there is room"
            )

    def accept(self) -> None:
        """Note that the disk took all."""
        if self.is_paused:
            self.is_paused = False
            self._tell(f"{self._what} go on, {disk_of(self._path)} has room again")

    def give_up(self, lost: str) -> None:
        """Tell what was still paused at the end."""
        self._tell(f"warning: NOT saved: {lost} of the {self._what}, {disk_of(self._path)} is full")

    def attempt(self, write: Callable[[], object]) -> bool:
        """Write, and return whether the disk took it; any other error is raised."""
        try:
            write()
        except Exception as error:
            if not is_full_disk(error):
                raise
            self.refuse()
            return False
        self.accept()
        return True
