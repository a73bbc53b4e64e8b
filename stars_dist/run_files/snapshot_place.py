"""Where a run's snapshots lie: a place for each run, whatever it is called and from where it is resumed."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from replay_service.atomic_file import write_text
from replay_service.snapshot import SnapshotStore
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory

LONGEST_NAME = 200

Log = Callable[[str], None]


class SnapshotPlace(NamedTuple):
    """The record in a run's directory of where its snapshots are."""

    directory: str  # absolute: a relative replay.snapshot_dir is that of the launch
    identity: int  # of the run's directory: a copy of it has another

    @classmethod
    def read(cls, run: RunDirectory) -> SnapshotPlace | None:
        """Read the record; None where there is none, as in a run of an earlier version, or it is damaged."""
        try:
            return cls(**json.loads(run.snapshot_place_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None


def snapshot_store(run: RunDirectory, plan: RunPlan) -> SnapshotStore:
    """Find the run's snapshots: in the run directory, or in the run's own at the configured place."""
    shared, place = plan.config.replay.snapshot_dir, SnapshotPlace.read(run)
    if shared is None:
        directory = run.snapshots
    else:
        directory = Path(shared) / run.path.resolve().name if place is None else Path(place.directory)
    return SnapshotStore(directory.resolve(), plan.config.replay.snapshot_keep_last)


def take_place(run: RunDirectory, plan: RunPlan) -> None:
    """Give a new run a directory of its own at the configured place; the run's directory must be locked."""
    shared = plan.config.replay.snapshot_dir
    if shared is not None:
        name = f"{run.path.resolve().name[:LONGEST_NAME]}-{secrets.token_hex(4)}"
        place = SnapshotPlace(str((Path(shared) / name).absolute()), run.identity)
        write_text(run.snapshot_place_file, json.dumps(place._asdict()) + "\n")


def keep_place(run: RunDirectory, plan: RunPlan, log: Log) -> None:
    """Give a run that is resumed a place of its own if it is a copy: its first one goes on with the one before."""
    place = SnapshotPlace.read(run)
    if place is None or place.identity == run.identity or plan.config.replay.snapshot_dir is None:
        return
    before = snapshot_store(run, plan)
    take_place(run, plan)
    own = snapshot_store(run, plan)
    log(f"this run is a copy: its snapshots are in {own.directory} from now on")
    newest = before.newest_first(plan.replay.spec)
    if newest:
        _take_over(newest[0].path, own.directory)


def _take_over(snapshot: Path, directory: Path) -> None:
    directory.mkdir(parents=True)
    copy = directory / f".{snapshot.name}"
    shutil.copytree(snapshot, copy, copy_function=_link)
    copy.rename(directory / snapshot.name)


def _link(source: str, target: str) -> None:
    """Give a file, which nobody changes, a second name; copy it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
