"""The identity of a replay directory, by which checkpoints and shards tell its files from those of another one.

A path alone does not: on another host, or after a disk was changed, it may hold the files of an older start of the run.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import NamedTuple

from replay_service.checked_record import read_record, write_record

IDENTITY_FILE = "identity.json"


class ReplayIdentity(NamedTuple):
    """A name that no other directory has; a copy of the directory keeps it."""

    name: str
    follows: str | None  # the directory of the checkpoint that these files were begun after

    def fits(self, name: str) -> bool:
        """Return whether a checkpoint that names `name` is of these files, or of those before them."""
        return name in (self.name, self.follows)


def read_identity(directory: Path) -> ReplayIdentity | None:
    """Read the identity of a directory; None where it has none or its file is damaged."""
    try:
        record = read_record(directory / IDENTITY_FILE)
        return ReplayIdentity(str(record["name"]), record["follows"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def give_identity(directory: Path, follows: str | None = None) -> ReplayIdentity:
    """Return the identity of a directory, a new one if it has none."""
    identity = read_identity(directory)
    if identity is None:
        identity = ReplayIdentity(secrets.token_hex(8), follows)
        directory.mkdir(parents=True, exist_ok=True)
        write_record(directory / IDENTITY_FILE, identity._asdict())
    return identity


def check_identity(directory: Path, name: str) -> None:
    """Raise ValueError for a directory that is not the one of this name."""
    found = read_identity(directory)
    if found is None or found.name != name:
        what = "has no identity" if found is None else f"is {found.name}"
        raise ValueError(
            f"a shard must open the replay directory of its run, {name}, {directory} {what}; it must run on the node "
            "that holds the run directory"
        )


def set_foreign_aside(directory: Path, name: str) -> Path | None:
    """Move the files of another directory than a checkpoint names out of the way; return where to, None if it fits.

    A directory whose identity is damaged, or of a version without any, counts as the one of the checkpoint.
    """
    found = read_identity(directory)
    if found is None or found.fits(name):
        return None
    aside = directory / f"foreign-{found.name}-{secrets.token_hex(2)}"
    aside.mkdir()
    for path in (*directory.glob("shard-*"), directory / IDENTITY_FILE):  # its identity last
        path.rename(aside / path.name)
    return aside
