"""replay.directory: the run directory links to the replay, and a link to another machine's disk is made anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.replay_files import prepare_replay
from stars_dist.run_files.replay_place import check_replay_room, take_replay_place


def plan_at(directory: Path | None, *settings: str) -> RunPlan:
    place = [] if directory is None else [f"replay.directory={directory}"]
    layers = [set_layer(setting) for setting in ("suite=toy:2", *place, *settings)]
    return resolve([preset_layer("small"), *layers]).plan


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.create()
    return run


def test_a_new_run_gets_a_directory_of_its_own(run: RunDirectory, tmp_path: Path) -> None:
    plan, lines = plan_at(tmp_path / "fast"), list[str]()
    check_replay_room(run, plan)
    take_replay_place(run, plan, lines.append)
    (place,) = (tmp_path / "fast").iterdir()
    assert run.replay.resolve() == place
    assert lines == [f"the replay lies in {place}"]
    run.check_unused()  # a start that ends here is no run yet


def test_a_run_that_goes_on_keeps_its_replay(run: RunDirectory, tmp_path: Path) -> None:
    take_replay_place(run, plan_at(tmp_path / "fast"), print)
    before = run.replay.resolve()
    for plan in (plan_at(tmp_path / "fast"), plan_at(tmp_path / "other"), plan_at(None)):
        take_replay_place(run, plan, print)
        assert run.replay.resolve() == before


def test_a_link_to_a_disk_that_is_not_here_is_made_anew(run: RunDirectory, tmp_path: Path) -> None:
    take_replay_place(run, plan_at(tmp_path / "fast"), print)
    lost = run.replay.resolve()
    shutil.rmtree(tmp_path / "fast")
    lines: list[str] = []
    take_replay_place(run, plan_at(tmp_path / "fast"), lines.append)
    assert run.replay.resolve() != lost and run.replay.is_dir()
    assert str(lost) in lines[0] and "not here" in lines[0]
    shutil.rmtree(tmp_path / "fast")
    take_replay_place(run, plan_at(None), print)
    assert not run.replay.is_symlink()


def test_a_replay_in_the_run_directory_stays_there(run: RunDirectory, tmp_path: Path) -> None:
    run.replay.mkdir()
    lines: list[str] = []
    take_replay_place(run, plan_at(tmp_path / "fast"), lines.append)
    assert not run.replay.is_symlink() and not (tmp_path / "fast").exists()
    assert "stays in" in lines[0]


def test_a_place_that_cannot_be_written_to_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"replay\.directory must be one that can be written to"):
        take_replay_place(run, plan_at(tmp_path / "file"), print)


def test_a_replay_elsewhere_is_brought_to_another_number_of_shards(run: RunDirectory, tmp_path: Path) -> None:
    from replay_service.shard import Shard

    plan = plan_at(tmp_path / "fast", "replay.num_shards=2", "replay.capacity_per_task=100")
    take_replay_place(run, plan, print)
    for index in range(2):
        Shard(index, plan.replay, run.replay).close()
    fewer = plan_at(tmp_path / "fast", "replay.num_shards=1", "replay.capacity_per_task=100")
    prepare_replay(run, fewer, print)
    assert run.replay.is_symlink() and run.replay.is_dir()
    Shard(0, fewer.replay, run.replay).close()
