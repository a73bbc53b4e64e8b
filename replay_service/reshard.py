"""Resharding: brings the replay files of a run that is not running to another number of shards."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.snapshot import Snapshot, SnapshotStore
from replay_service.snapshot_job import SnapshotJob
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
    replay = plan.replay.model_copy(update={"num_shards": found, "storage": "mapped"})
    before = replace(plan, replay=replay)
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


def _num_shards(directory: Path) -> int | None:
    for layout in sorted(directory.glob("shard-*/layout.json")):
        return json.loads(layout.read_text())["num_shards"]
    return None
