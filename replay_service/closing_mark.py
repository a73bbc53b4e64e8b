"""The closing mark: who wrote mapped files last and whether they were closed, which tells if they may be torn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of Linux


class ClosingMark(NamedTuple):
    """What the last process to open a directory has left in its layout.json."""

    boot_id: str | None  # of the kernel whose page cache held its writes; None where the system has none
    inode: int  # of the lock file: a copy of the directory has another
    clean: bool  # everything was brought to the disk, and nothing written after that

    @classmethod
    def here(cls, lock_file: Path) -> ClosingMark:
        """Return the mark of a process that is about to write."""
        boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else None
        return cls(boot_id, lock_file.stat().st_ino, clean=False)

    @classmethod
    def read(cls, layout: dict[str, Any]) -> ClosingMark | None:
        """Take the mark out of a layout; None if it was written by a version that left none."""
        found = layout.pop("written", None)
        return None if found is None else cls(**found)

    def doubt(self, here: ClosingMark) -> str | None:
        """Return why the files may be torn, None if they cannot be.

        A store into a mapped file is in the kernel's page cache at once; what is lost or torn is what a kernel that
        went down had not written back, or what changed while somebody copied it.
        """
        if self.clean:
            return None
        if self.boot_id != here.boot_id:
            return "the machine went down, or is another one, and its files were not closed"
        if self.inode != here.inode:
            return "its files are a copy and were not closed"
        return None
