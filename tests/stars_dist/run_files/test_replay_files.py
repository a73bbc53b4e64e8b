"""Snapshots of a run in progress: one that cannot be taken is told, and the training goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from replay_service.checked_record import read_record, write_record
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import Chunk, ChunkId, TransitionBatch
from stars_dist.config.merge import resolve, set_layer
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.replay_files import PeriodicSnapshots, prepare_replay
from tests.small_disk import SmallDisk


def test_a_snapshot_that_cannot_begin_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sets = ["suite=toy:4", "steps=8000", "serial=true", "replay.storage=memory"]
    sets += ["replay.snapshot_every_env_steps=400", f"replay.snapshot_dir={tmp_path / 'file'}"]
    plan = resolve([set_layer(text) for text in sets]).plan
    lines: list[str] = []
    transport = LocalTransport([Shard(index, plan.replay) for index in range(plan.replay.num_shards)])
    snapshots = PeriodicSnapshots(RunDirectory(tmp_path / "run"), plan, transport, 0, lines.append)
    for env_steps in (0, 400, 404, 800):
        snapshots.advance(env_steps)
    told = [line for line in lines if line.startswith("snapshot of the replay given up (")]
    assert len(told) == 2 and told[0].endswith("the next is at 800 steps")


def test_snapshots_pause_on_a_full_disk_and_go_on(
    tmp_path: Path, small_disk: Callable[..., SmallDisk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stars_dist.run_files.replay_files.FULL_DISK_RETRY_S", 0.0)
    disk = small_disk("4m")
    sets = ["suite=toy:4", "steps=8000", "serial=true", "replay.storage=memory"]
    sets += ["replay.snapshot_every_env_steps=400", f"replay.snapshot_dir={disk.path}"]
    plan = resolve([set_layer(text) for text in sets]).plan
    lines: list[str] = []
    transport = LocalTransport([Shard(index, plan.replay) for index in range(plan.replay.num_shards)])
    snapshots = PeriodicSnapshots(RunDirectory(tmp_path / "run"), plan, transport, 0, lines.append)
    disk.fill()
    for env_steps in (400, 404, 408):  # each is a try
        snapshots.advance(env_steps)
    assert [line.partition(" (")[0] for line in lines] == [
        f"warning: snapshots of the replay pause, the disk at {disk.path}"
    ]
    assert not list(disk.path.glob("*/.writing-*")), "what was begun keeps its room"
    disk.free()
    snapshots.advance(412)
    assert lines[1].startswith("snapshots of the replay go on") and "snapshot-0" in lines[2]


def test_a_resume_says_what_a_power_cut_has_cost(tmp_path: Path) -> None:
    sets = ["suite=toy:2", "steps=8000", "serial=true", "replay.capacity_per_task=1000"]
    plan, run = resolve([set_layer(text) for text in sets]).plan, RunDirectory(tmp_path)
    run.create()
    shard = Shard(0, plan.replay, run.replay)
    shard.set_insert_limit(0, 10**9)
    rows, spec = 40, plan.replay.spec
    obs, action = np.ones((rows, spec.obs_dim), "f4"), np.ones((rows, spec.action_dim), "f4")
    reward, terminated, task = np.ones(rows, "f4"), np.zeros(rows, np.bool_), np.zeros(rows, "i4")
    chunk = Chunk(ChunkId(0, 0, 0), TransitionBatch(obs, action, reward, obs, terminated, task), (), 0)
    shard.insert(chunk, 0.0)
    shard.close()
    lines: list[str] = []
    assert prepare_replay(run, plan, lines.append) is None
    assert lines == [
        "restored from the run directory: every acknowledged transition, its priority, and the counters"
    ]
    layout = run.replay / "shard-0" / "layout.json"
    record = read_record(layout)
    record["written"] |= {"boot_id": "an-earlier-one", "clean": False}
    write_record(layout, record)
    stored = np.load(run.replay / "shard-0" / "transitions.npy", mmap_mode="r+")
    stored[0, 10:14] = 0
    lines.clear()
    assert prepare_replay(run, plan, lines.append) == 40
    assert len(lines) == 1 and lines[0].startswith("the replay of shard 0: the machine went down")
    assert lines[0].endswith("36 of 40 transitions are whole and stay, the others are lost")
