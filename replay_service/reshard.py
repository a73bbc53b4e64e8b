"""Resharding: brings the replay files of a run that is not running to another number of shards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from replay_service.checked_record import read_record
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.snapshot import Snapshot, SnapshotStore
from replay_service.snapshot_job import SnapshotJob
from replay_service.storage import LAYOUT_FILE
from replay_service.transport import LocalTransport


def reshard(directory: Path, plan: ReplayPlan, store: SnapshotStore) -> Snapshot | None:
    """Turn files of another number of shards into a snapshot, which the plan's shards then start from.

    Return None if the files fit the plan or there are none. A shard whose files are missing is taken from the
    newest snapshot. Killed at any instant, the call may be repeated: the files are removed only once the
    snapshot is whole.
    """
    found = _num_shards(directory)
    if found in (None, plan.num_shards):
        return None
    before = _with_shards(plan, found)
    shards = [Shard(index, before, directory, store.directory) for index in range(before.num_shards)]
    try:
        env_steps = sum(int(shard.stats().inserted.sum()) for shard in shards)
        snapshot = SnapshotJob(before, store, LocalTransport(shards), env_steps).finish()
    finally:
        for shard in shards:
            shard.close()
    retired = directory.with_name(f".{directory.name}-retired")
    shutil.rmtree(retired, ignore_errors=True)
    directory.rename(retired)  # at once, so that no start finds a part of the old files
    shutil.rmtree(retired)
    return snapshot


def opened_as_found(directory: Path, plan: ReplayPlan, snapshots: Path) -> Iterator[Shard]:
    """Open the shards whose files are there, whatever their number, one after the other; the caller closes each."""
    num_shards, found = _num_shards(directory), _found(directory)
    for index in range(num_shards or 0):
        if directory / f"shard-{index}" in found:
            yield Shard(index, _with_shards(plan, num_shards), directory, snapshots)


def _with_shards(plan: ReplayPlan, num_shards: int | None) -> ReplayPlan:
    replay = plan.replay.model_copy(update={"num_shards": num_shards, "storage": "mapped"})
    return replace(plan, replay=replay)


def _num_shards(directory: Path) -> int | None:
    found = _found(directory)
    for shard in found:
        with suppress(OSError, ValueError, KeyError, TypeError):  # damaged
            return int(read_record(shard / LAYOUT_FILE)["num_shards"])
    return len(found) or None


def _found(directory: Path) -> list[Path]:
    """List the shards that have files; the layout of one may be lost."""
    return [
        path
        for path in sorted(directory.glob("shard-*"))
        if (path / LAYOUT_FILE).is_file() or any(path.glob("*.npy"))
    ]
