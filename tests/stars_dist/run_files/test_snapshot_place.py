"""Each run has a place of its own for its snapshots: beside one of its name, renamed, copied, resumed elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from replay_service.shard import Shard
from replay_service.snapshot_job import SnapshotJob
from replay_service.transport import LocalTransport
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.snapshot_place import keep_place, snapshot_store, take_place


def plan_with(place: str | Path | None) -> RunPlan:
    sets = ["suite=toy:2", "steps=8000", "serial=true", "replay.storage=memory"]
    sets += [] if place is None else [f"replay.snapshot_dir={place}"]
    return resolve([set_layer(text) for text in sets]).plan


def launched(path: Path, plan: RunPlan) -> RunDirectory:
    run = RunDirectory(path)
    run.create()
    take_place(run, plan)
    return run


def snapshot(run: RunDirectory, plan: RunPlan) -> Path:
    transport = LocalTransport([Shard(index, plan.replay) for index in range(plan.replay.num_shards)])
    return SnapshotJob(plan.replay, snapshot_store(run, plan), transport, 0).finish().path


def test_without_a_shared_place_they_are_in_the_run_directory(tmp_path: Path) -> None:
    plan = plan_with(None)
    run = launched(tmp_path / "run", plan)
    assert snapshot_store(run, plan).directory == tmp_path / "run" / "replay-snapshots"
    assert not run.snapshot_place_file.exists()


def test_runs_of_one_name_share_nothing(tmp_path: Path) -> None:
    plan = plan_with(tmp_path / "shared")
    places = {
        snapshot_store(launched(tmp_path / method / "seed1", plan), plan).directory for method in ("a", "b")
    }
    assert len(places) == 2
    assert all(place.parent == tmp_path / "shared" and "seed1-" in place.name for place in places)


def test_a_relative_place_is_that_of_the_launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_with("shared")
    monkeypatch.chdir(tmp_path)
    run = launched(tmp_path / "run", plan)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert snapshot_store(run, plan).directory.parent == tmp_path / "shared"


def test_a_renamed_run_finds_its_snapshots(tmp_path: Path) -> None:
    plan = plan_with(tmp_path / "shared")
    taken = snapshot(launched(tmp_path / "run", plan), plan)
    (tmp_path / "run").rename(tmp_path / "renamed")
    run, lines = RunDirectory(tmp_path / "renamed"), list[str]()
    run.lock()
    keep_place(run, plan, lines.append)
    assert [found.path for found in snapshot_store(run, plan).newest_first(plan.replay.spec)] == [taken]
    assert lines == []


def test_a_copied_run_starts_from_the_newest_and_leaves_the_first_one_alone(tmp_path: Path) -> None:
    plan = plan_with(tmp_path / "shared")
    first = launched(tmp_path / "run", plan)
    taken = snapshot(first, plan)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    copy, lines = RunDirectory(tmp_path / "copy"), list[str]()
    copy.lock()
    for _ in range(2):
        keep_place(copy, plan, lines.append)
    assert len(lines) == 1 and "this run is a copy" in lines[0]
    (own,) = snapshot_store(copy, plan).newest_first(plan.replay.spec)
    assert own.path.parent != taken.parent and own.task(0).is_dir()
    for _ in range(3):
        snapshot(copy, plan)  # removes the oldest of its own
    assert taken.is_dir() and snapshot_store(first, plan).newest_first(plan.replay.spec)[0].task(0).is_dir()


def test_a_run_of_an_earlier_version_keeps_its_place(tmp_path: Path) -> None:
    plan = plan_with(tmp_path / "shared")
    run = RunDirectory(tmp_path / "run")
    run.create()
    keep_place(run, plan, print)
    assert snapshot_store(run, plan).directory == tmp_path / "shared" / "run"
