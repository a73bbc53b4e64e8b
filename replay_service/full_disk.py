"""A disk that is full or refuses: how it is recognised, named and told, and that what it has paused goes on."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

_FULL_ERRNO = {errno.ENOSPC, errno.EDQUOT}
# Mounted read-only after an error, beyond `ulimit -f`, broken, or a server that is away: what may be mended meanwhile
_REFUSED_ERRNO = {errno.EROFS, errno.EFBIG, errno.EIO, errno.ESTALE}
# torch.save gives nothing but a text, and so does an error of another process
_FULL_TEXTS = (
    "No space left on device",
    "Disk quota exceeded",
    "PytorchStreamWriter failed",
    "inline_container.cc",
)


class PlaceGoneError(OSError):
    """What was written to is there no more: moved or removed by somebody, who may put it back."""


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error comes from a disk without room."""
    if isinstance(error, OSError) and error.errno in _FULL_ERRNO:
        return True
    return isinstance(error, OSError | RuntimeError) and any(text in str(error) for text in _FULL_TEXTS)


def refusal_of(error: BaseException, path: Path) -> str | None:
    """Say why a write to `path` failed that may succeed later; None for an error of another kind."""
    if is_full_disk(error):
        return f"{disk_of(path)} is full"
    if isinstance(error, PlaceGoneError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _REFUSED_ERRNO:
        return f"{path} refuses them ({error.strerror})"
    return None


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
    """Tells once that a disk pauses something, full as a rule, and once that it goes on."""

    def __init__(self, what: str, path: Path, tell: Callable[[str], None]) -> None:
        """Begin unpaused; `what` is plural, as it is said to pause."""
        self._what, self._path, self._tell = what, path, tell
        self._refusal: str | None = None

    @property
    def is_paused(self) -> bool:
        """Whether the disk took nothing the last time."""
        return self._refusal is not None

    def refuse(self, error: BaseException) -> bool:
        """Note that the disk took nothing; return False for an error that has another cause."""
        refusal = refusal_of(error, self._path)
        if refusal is not None and not self.is_paused:
            until = "there is room" if is_full_disk(error) else "that is over"
            self._tell(f"warning: {self._what} pause, {refusal}; they go on when {until}")
        self._refusal = refusal or self._refusal
        return refusal is not None

    def accept(self) -> None:
        """Note that the disk took all."""
        if self.is_paused:
            self._refusal = None
            self._tell(f"{self._what} go on, {disk_of(self._path)} takes them again")

    def give_up(self, lost: str) -> None:
        """Tell what was still paused at the end."""
        self._tell(f"warning: NOT saved: {lost} of the {self._what}, {self._refusal}")

    def attempt(self, write: Callable[[], object]) -> bool:
        """Write, and return whether the disk took it; an error of another cause is raised."""
        try:
            write()
        except Exception as error:
            if not self.refuse(error):
                raise
            return False
        self.accept()
        return True
