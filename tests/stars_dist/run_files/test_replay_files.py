"""Snapshots of a run in progress: one that cannot be taken is told, and the training goes on."""

from __future__ import annotations

from pathlib import Path

from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from stars_dist.config.merge import resolve, set_layer
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.replay_files import PeriodicSnapshots


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
