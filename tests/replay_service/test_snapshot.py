"""Snapshots: of one instant while everything goes on, whole or not at all, for any number of shards."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from replay_service import table_copy
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.snapshot import Snapshot, SnapshotError, SnapshotStore
from replay_service.snapshot_job import SnapshotJob
from replay_service.transport import LocalTransport
from replay_service.types import Chunk

MakePlan = Callable[..., ReplayPlan]
MakeChunk = Callable[..., Chunk]
ANY = 10**9
NUM_TASKS, CAPACITY = 5, 32


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots", keep_last=2)


@pytest.fixture
def plan(make_plan: MakePlan) -> ReplayPlan:
    return make_plan(NUM_TASKS, {"num_shards": 2})


def with_shards(plan: ReplayPlan, **replay: object) -> ReplayPlan:
    return replace(plan, replay=plan.replay.model_copy(update=replay))


def fill(plan: ReplayPlan, make_chunk: MakeChunk, directory: Path | None = None) -> list[Shard]:
    """Shards with 0, 13, 26, 39 and 52 rows of their tasks: empty, filling, wrapped."""
    shards = [Shard(index, plan, directory) for index in range(plan.num_shards)]
    for shard in shards:
        shard.set_insert_limit(0, ANY)
    for task in range(NUM_TASKS):
        for sequence in range(task):
            chunk = make_chunk(task, 13, sequence, first=13 * sequence, actor=task, episodes=2)
            shards[task % plan.num_shards].insert(chunk, 0.0)
        if task:
            quota = np.zeros((1, NUM_TASKS), np.int64)
            quota[0, task] = 20
            drawn = shards[task % plan.num_shards].sample(quota, 0, ANY)
            shards[task % plan.num_shards].update_priorities(
                drawn.task_id, drawn.key, np.linspace(0.1, task, 20)
            )
    return shards


def take(plan: ReplayPlan, store: SnapshotStore, shards: list[Shard], env_steps: int = 130) -> Snapshot:
    job = SnapshotJob(plan, store, LocalTransport(shards), env_steps)
    assert job.is_done
    return job.finish()


def content(shards: list[Shard]) -> dict[int, dict[str, object]]:
    """All that is observable of each task, keys aside: rows with their probabilities, counters, dedup windows."""
    found: dict[int, dict[str, object]] = {}
    for shard in shards:
        stats, tables = shard.stats(), shard._content.tables
        for table, task in enumerate(stats.task_id.tolist()):
            size = int(stats.size[table])
            newest = np.arange(tables.count[table] - size, tables.count[table]) % tables.capacity
            found[task] = {
                "serial": tables._rows["obs"][table, newest, 0].tolist(),
                "next": tables._rows["next_obs"][table, newest, 0].tolist(),
                "priority": tables._priority[table, newest].tolist(),
                "mass": pytest.approx(float(stats.priority_mass[table]), rel=1e-12),
                "inserted": int(stats.inserted[table]),
                "sampled": int(stats.sampled[table]),
                "episodes": int(stats.episodes[table]),
                "success_rate": pytest.approx(float(stats.success_rate[table]), nan_ok=True),
                "dedup": shard._content.dedup.copy_entries(table).tolist(),
                "max_priority": float(tables._counter["max_priority"][table]),
            }
    return found


@pytest.mark.parametrize("num_shards", [1, 2, 3, 5])
@pytest.mark.parametrize("storage", ["memory", "mapped"])
def test_a_snapshot_restores_onto_any_number_of_shards(
    num_shards: int,
    storage: str,
    plan: ReplayPlan,
    store: SnapshotStore,
    tmp_path: Path,
    make_chunk: MakeChunk,
) -> None:
    shards = fill(plan, make_chunk)
    take(plan, store, shards)
    other = with_shards(plan, num_shards=num_shards, storage=storage)
    restored = [Shard(i, other, tmp_path / "replay", store.directory) for i in range(num_shards)]
    assert content(restored) == content(shards)
    for shard in restored:
        shard.set_insert_limit(0, ANY)
    retry = make_chunk(4, 13, 3, actor=4)
    assert restored[4 % num_shards].insert(retry, 0.0).status == "duplicate"
    assert restored[4 % num_shards].insert(make_chunk(4, 13, 4, first=52, actor=4), 0.0).status == "stored"
    assert content(restored)[4]["serial"] == list(range(65 - CAPACITY, 65))


@pytest.mark.parametrize("capacity", [20, 64])
def test_a_table_of_another_capacity_takes_the_newest_rows_and_goes_on_counting(
    capacity: int, plan: ReplayPlan, store: SnapshotStore, make_chunk: MakeChunk
) -> None:
    take(plan, store, fill(plan, make_chunk))
    other = with_shards(plan, num_shards=1, capacity_per_task=capacity)
    restored = Shard(0, other, None, store.directory)
    for task, rows in enumerate([0, 13, 26, 39, 52]):
        kept = min(rows, CAPACITY, capacity)
        assert content([restored])[task]["serial"] == list(range(rows - kept, rows))
        assert content([restored])[task]["inserted"] == rows


def test_keys_drawn_before_the_loss_name_no_restored_row(
    plan: ReplayPlan, store: SnapshotStore, make_chunk: MakeChunk
) -> None:
    """Rows stored after the snapshot are lost, and new ones take their places: their keys must not meet."""
    shards = fill(plan, make_chunk)
    take(plan, store, shards)
    shards[0].insert(make_chunk(2, 6, 2, first=26, actor=2), 0.0)
    drawn = shards[0].sample(np.array([[0, 0, 500, 0, 0]]), 0, ANY)
    restored = Shard(0, plan, None, store.directory)
    restored._content.tables._counter["first_key"] += 1 << 24  # a second later
    restored.set_insert_limit(0, ANY)
    restored.insert(make_chunk(2, 6, 2, first=100, actor=2), 0.0)
    assert restored.update_priorities(drawn.task_id, drawn.key, np.full(500, 9.0)) == 500


def test_the_sampler_knows_what_was_stored_after_the_snapshot(
    plan: ReplayPlan, store: SnapshotStore, make_chunk: MakeChunk
) -> None:
    take(plan, store, fill(plan, make_chunk))
    restored = Shard(0, plan, None, store.directory)
    restored.set_insert_limit(0, ANY)
    restored.insert(make_chunk(2, 4, 2, first=26, actor=2), 0.0)
    for _ in range(2):
        restored.adopt_inserted(np.array([0, 0, 40, 0, 52]))  # 14 rows of task 2 are lost
    assert restored.stats().inserted.tolist() == [0, 44, 52]
    assert restored.stats().size.tolist() == [0, 30, 32]


def test_used_tables_keep_their_own_content(
    plan: ReplayPlan, store: SnapshotStore, tmp_path: Path, make_chunk: MakeChunk
) -> None:
    mapped = with_shards(plan, storage="mapped")
    shards = fill(mapped, make_chunk, tmp_path / "replay")
    take(mapped, store, shards)
    shards[1].insert(make_chunk(1, 5, 1, first=13, actor=1), 0.0)
    before = content(shards)
    for shard in shards:
        shard.close()
    assert content([Shard(i, mapped, tmp_path / "replay", store.directory) for i in range(2)]) == before


def test_a_copy_is_that_of_one_instant_while_inserts_and_samples_go_on(
    store: SnapshotStore, make_plan: MakePlan, make_chunk: MakeChunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, dedup window, episodes and counters of each copy must hold the same number of chunks."""
    monkeypatch.setattr(table_copy, "BLOCK_ROWS", 50)
    plan = make_plan(1, {"capacity_per_task": 1000}, total_steps=10**7)
    shard = Shard(0, plan)
    shard.set_insert_limit(0, ANY)
    stop = threading.Event()

    def act() -> None:
        sequence = 0
        while not stop.is_set():
            shard.insert(make_chunk(0, 7, sequence, first=7 * sequence, episodes=1), 0.0)
            sequence += 1
            time.sleep(0.0002)  # or the step budget is used up while the machine is busy elsewhere

    actor = threading.Thread(target=act)
    actor.start()
    instants = set()
    try:
        while shard.stats().size[0] < 500:
            pass
        for env_steps in range(20):
            snapshot = take(plan, store, [shard], env_steps)
            shard.sample(np.array([[64]]), 0, ANY)
            copy = Shard(0, plan, None, store.directory)
            found = content([copy])[0]
            inserted = int(copy.stats().inserted[0])
            size = min(inserted, 1000)
            assert found["serial"] == list(map(float, range(inserted - size, inserted)))
            assert found["episodes"] == copy._content.dedup.entry(0, 0).next_sequence == inserted / 7
            assert snapshot.env_steps == env_steps
            instants.add(inserted)
            while shard.stats().inserted[0] == inserted:
                time.sleep(0.0002)
    finally:
        stop.set()
        actor.join()
    assert len(instants) == 20 and max(instants) > 1000, "the ring must wrap between the snapshots"


def test_the_newest_snapshots_stay(plan: ReplayPlan, store: SnapshotStore, make_chunk: MakeChunk) -> None:
    shards = fill(plan, make_chunk)
    for env_steps in (10, 20, 30, 40):
        take(plan, store, shards, env_steps)
    assert sorted(path.name for path in store.directory.iterdir()) == ["snapshot-2", "snapshot-3"]
    assert [snapshot.env_steps for snapshot in store.newest_first(plan.spec)] == [40, 30]


class FailingShard(Shard):
    def write_snapshot(self, directory: Path | str) -> dict[str, str]:
        super().write_snapshot(directory)
        raise OSError("no space left on device")


def test_a_snapshot_that_one_shard_fails_leaves_nothing(
    plan: ReplayPlan, store: SnapshotStore, make_chunk: MakeChunk
) -> None:
    shards = fill(plan, make_chunk)
    take(plan, store, shards)
    with pytest.raises(OSError, match="no space left"):
        take(plan, store, [shards[0], FailingShard(1, plan)])
    assert [path.name for path in store.directory.iterdir()] == ["snapshot-0"]


def test_what_a_killed_writer_left_is_no_snapshot_and_is_removed(
    plan: ReplayPlan, store: SnapshotStore, make_chunk: MakeChunk
) -> None:
    shards = fill(plan, make_chunk)
    shards[0].write_snapshot(store.begin())
    assert store.is_empty and store.newest_first(plan.spec) == []
    take(plan, store, shards)
    assert [path.name for path in store.directory.iterdir()] == ["snapshot-0"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "no manifest"])
def test_a_damaged_snapshot_is_skipped_and_named(
    damage: str,
    plan: ReplayPlan,
    store: SnapshotStore,
    make_chunk: MakeChunk,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shards = fill(plan, make_chunk)
    take(plan, store, shards)
    before = content(shards)
    shards[1].insert(make_chunk(3, 3, 3, first=39, actor=3), 0.0)
    newest = take(plan, store, shards).path
    victim = newest / ("manifest.json" if damage == "no manifest" else "task-3/transitions.npy")
    whole = victim.read_bytes()
    victim.unlink()
    if damage in ("cut", "flipped"):
        middle = len(whole) // 2
        victim.write_bytes(
            whole[:-1]
            if damage == "cut"
            else whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        )
    restored = Shard(1, plan, None, store.directory)
    assert content([restored])[3] == before[3]
    assert str(newest) in caplog.text


def test_a_snapshot_of_another_run_is_refused(
    plan: ReplayPlan, store: SnapshotStore, make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    take(plan, store, fill(plan, make_chunk))
    with pytest.raises(
        SnapshotError, match=r"num_tasks of .* must be the run's 2, got 5: it is of another run"
    ):
        Shard(0, make_plan(2), None, store.directory)
