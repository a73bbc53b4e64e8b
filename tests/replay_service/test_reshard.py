"""Another number of shards: every task's table moves as it is, and a lost shard's comes from the snapshot."""

import shutil
from collections.abc import Callable
from pathlib import Path

from replay_service.plan import ReplayPlan
from replay_service.reshard import reshard
from replay_service.shard import Shard
from replay_service.snapshot import SnapshotStore
from replay_service.types import Chunk
from tests.replay_service.test_snapshot import NUM_TASKS, content, fill, plan, store, take, with_shards

__all__ = ["plan", "store"]

MakeChunk = Callable[..., Chunk]


def test_resharding_keeps_everything_and_the_files_go(
    plan: ReplayPlan, store: SnapshotStore, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    mapped = with_shards(plan, storage="mapped")
    shards = fill(mapped, make_chunk, tmp_path / "replay")
    before = content(shards)
    for shard in shards:
        shard.close()
    assert reshard(tmp_path / "replay", mapped, store) is None
    other = with_shards(mapped, num_shards=3)
    snapshot = reshard(tmp_path / "replay", other, store)
    assert snapshot is not None and snapshot.env_steps == 130
    assert not (tmp_path / "replay").exists()
    assert reshard(tmp_path / "replay", other, store) is None
    assert content([Shard(i, other, tmp_path / "replay", store.directory) for i in range(3)]) == before


def test_resharding_takes_a_lost_shard_from_the_snapshot(
    plan: ReplayPlan, store: SnapshotStore, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    mapped = with_shards(plan, storage="mapped")
    shards = fill(mapped, make_chunk, tmp_path / "replay")
    take(mapped, store, shards)
    at_snapshot = content(shards)
    shards[0].insert(make_chunk(2, 5, 2, first=26, actor=2), 0.0)
    shards[1].insert(make_chunk(1, 5, 1, first=13, actor=1), 0.0)
    now = content(shards)
    for shard in shards:
        shard.close()
    shutil.rmtree(tmp_path / "replay" / "shard-1")  # its host is lost
    other = with_shards(mapped, num_shards=1)
    assert reshard(tmp_path / "replay", other, store) is not None
    found = content([Shard(0, other, tmp_path / "replay", store.directory)])
    assert found == {task: (at_snapshot if task % 2 else now)[task] for task in range(NUM_TASKS)}
