"""Snapshots: copies of the whole replay against lost hosts; by task, so that they fit any number of shards.

<directory>/snapshot-<number>/
    task-<id>/      see table_copy.py
    manifest.json   format, sizes, environment steps, and the sha256 of every file
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from replay_service import atomic_directory
from replay_service.types import TransitionSpec

logger = logging.getLogger(__name__)

FORMAT = 1
MANIFEST_FILE = "manifest.json"
_PREFIX = "snapshot-"


class SnapshotError(ValueError):
    """A snapshot is damaged or of another run; the message names the file and the remedy."""


class Snapshot(NamedTuple):
    """A snapshot with a readable manifest; its files are checked against the manifest when they are read."""

    path: Path
    env_steps: int
    sha256: dict[str, str]  # of each file, by its path in the snapshot

    def task(self, task_id: int) -> Path:
        """Return the directory of a task's table, its files checked.

        Raises:
            SnapshotError: a file is missing or damaged.
        """
        directory = self.path / f"task-{task_id}"
        for name, digest in self.sha256.items():
            path = self.path / name
            if path.parent == directory and not (path.is_file() and atomic_directory.sha256(path) == digest):
                raise SnapshotError(f"{path} must have the sha256 of its {MANIFEST_FILE}: it is damaged")
        return directory


class SnapshotStore:
    """The snapshots of one run, numbered from 0; the newest `keep_last` stay."""

    def __init__(self, directory: Path, keep_last: int) -> None:
        self.directory = directory
        self._keep_last = keep_last

    @property
    def is_empty(self) -> bool:
        """Whether there is no snapshot."""
        return not self._paths()

    def begin(self) -> Path:
        """Create an empty directory to write the next snapshot in."""
        return atomic_directory.begin(self.directory)

    def commit(
        self, written: Path, spec: TransitionSpec, env_steps: int, digests: Mapping[str, str]
    ) -> Snapshot:
        """Make what was written in `written` the newest snapshot, then remove the oldest ones."""
        manifest = {"format": FORMAT, **_sizes(spec), "env_steps": env_steps, "sha256": dict(digests)}
        # a plain write: the manifest becomes durable and visible with its directory
        (written / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2))
        paths = self._paths()
        number = int(paths[-1].name.removeprefix(_PREFIX)) + 1 if paths else 0
        path = atomic_directory.publish(written, f"{_PREFIX}{number}")
        for old in self._paths()[: -self._keep_last]:
            shutil.rmtree(old)
        return Snapshot(path, env_steps, manifest["sha256"])

    def newest_first(self, spec: TransitionSpec) -> list[Snapshot]:
        """List all snapshots with a readable manifest.

        Raises:
            SnapshotError: one is of a run with other sizes.
        """
        manifests = {path: manifest for path in reversed(self._paths()) if (manifest := _manifest(path))}
        for path, manifest in manifests.items():
            for name, size in _sizes(spec).items():
                if manifest[name] != size:
                    raise SnapshotError(
                        f"{name} of {path} must be the run's {size}, got {manifest[name]}: it is of another "
                        f"run; use another replay.snapshot_dir"
                    )
        return [Snapshot(path, m["env_steps"], m["sha256"]) for path, m in manifests.items()]

    def _paths(self) -> list[Path]:
        return atomic_directory.numbered(self.directory, _PREFIX)


def _sizes(spec: TransitionSpec) -> dict[str, int]:
    return {"num_tasks": spec.num_tasks, "obs_dim": spec.obs_dim, "action_dim": spec.action_dim}


def _manifest(path: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((path / MANIFEST_FILE).read_text())
        if manifest["format"] == FORMAT:
            return manifest
        logger.warning("skipping %s: its format is %s, not %d", path, manifest["format"], FORMAT)
    except (OSError, ValueError, KeyError) as error:
        logger.warning("skipping %s: its %s cannot be read (%s)", path, MANIFEST_FILE, error)
    return None
