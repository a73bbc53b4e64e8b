"""Where a resumed run goes on: the newest checkpoint that is whole, and what is logged about the others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from learner.checkpoint import write_checkpoint
from learner.sac import SacLearner
from replay_service.full_disk import PlaceGoneError
from replay_service.identity import give_identity, read_identity
from replay_service.shard import Shard
from stars_dist.build.learner import fresh_learner
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.recorded import Learning, MetricsEnd
from stars_dist.run_files.resume_point import (
    ResumePoint,
    check_resumable,
    find_start,
    restart_point,
    resume_point,
)


@pytest.fixture(scope="module")
def plan() -> RunPlan:
    return resolve([preset_layer("small"), set_layer("suite=toy:2"), set_layer("device=cpu")]).plan


@pytest.fixture
def run(plan: RunPlan, tmp_path: Path) -> RunDirectory:
    """A run with the checkpoints of 10 and of 20 updates, 100 and 140 environment steps."""
    for updates, env_steps in ((10, 100), (20, 140)):
        learner = learner_at(updates, plan)
        write_checkpoint(tmp_path, learner, "toy:2", {"env_steps": env_steps}, keep_last=2)
    return RunDirectory(tmp_path)


def learner_at(updates: int, plan: RunPlan) -> SacLearner:
    learner = fresh_learner(plan)
    learner.learner_steps = updates
    return learner


def damage(checkpoint: Path) -> None:
    (checkpoint / "learner.pt").write_bytes(b"torn")


def test_the_newest_checkpoint_counts(run: RunDirectory) -> None:
    log: list[str] = []
    assert resume_point(run.path, log.append) == ResumePoint(run.checkpoint(20), 140, 20)
    assert log == []


def test_a_damaged_checkpoint_is_logged_and_passed_over(run: RunDirectory) -> None:
    log: list[str] = []
    damage(run.checkpoint(20))
    assert resume_point(run.path, log.append) == ResumePoint(run.checkpoint(10), 100, 10)
    (line,) = log
    assert line.startswith("damaged checkpoint passed over: ") and "step-20" in line


def test_a_damaged_checkpoint_is_set_aside(run: RunDirectory, plan: RunPlan) -> None:
    for _ in range(2):
        damage(run.checkpoint(20))
        resume_point(run.path, print)
        write_checkpoint(run.path, learner_at(20, plan), "toy:2", {"env_steps": 140}, keep_last=2)
    names = {path.name for path in run.checkpoints.iterdir()}
    assert names == {"step-10", "step-20", "damaged-step-20", "damaged-step-20.2"}


def test_before_the_first_checkpoint_a_run_starts_anew(plan: RunPlan, tmp_path: Path) -> None:
    log: list[str] = []
    run = RunDirectory(tmp_path)
    check_resumable(run, plan, Learning(0, 0.0))
    check_resumable(run, plan, Learning(1000, 500.0))
    start = find_start(run, plan, log.append)
    assert (start.checkpoint, start.env_steps) == (None, 0)
    assert "no checkpoint yet: learner and counters start anew" in log


def test_a_run_that_has_learned_does_not_start_anew(run: RunDirectory, plan: RunPlan) -> None:
    check_resumable(run, plan, Learning(20, 60.0))
    damage(run.checkpoint(20))
    check_resumable(run, plan, Learning(20, 60.0))
    damage(run.checkpoint(10))
    with pytest.raises(ValueError, match=r"step-20/learner\.pt is damaged.*step-10/learner\.pt is damaged"):
        check_resumable(run, plan, Learning(20, 60.0))
    resume_point(run.path, print)
    with pytest.raises(ValueError, match="damaged-step-10 was found damaged before"):
        check_resumable(run, plan, Learning(20, 60.0))
    shutil.rmtree(run.checkpoints)
    with pytest.raises(ValueError, match="checkpoints holds none"):
        check_resumable(run, plan, Learning(1000, 601.0))
    run.evaluation_file.touch()
    with pytest.raises(ValueError, match="checkpoints holds none"):
        check_resumable(run, plan, Learning(0, 0.0))


def test_metrics_beyond_a_lost_replay_are_made_again(run: RunDirectory, plan: RunPlan) -> None:
    """The replay is gone and has no snapshot: it begins at zero, the learner at its checkpoint."""
    log: list[str] = []
    start = find_start(run, plan, log.append)
    assert start == (run.checkpoint(20), 140, MetricsEnd(140), 20, False)
    assert log[0].endswith("20 updates, limiter at 140 environment steps")
    assert log[1].startswith("not restored: the replay")


def test_a_checkpoint_of_other_networks_is_refused_before_anything_is_changed(
    run: RunDirectory, plan: RunPlan
) -> None:
    wider = plan.override(network=plan.config.network.model_copy(update={"actor_hidden": (32, 16)}))
    with pytest.raises(ValueError, match="of the configured networks, its actor has"):
        check_resumable(run, wider, Learning(20, 10.0))
    check_resumable(run, plan, Learning(20, 10.0))


@pytest.mark.parametrize("named", ["its own", "another"])
def test_replay_files_of_another_directory_are_said_and_not_restored(
    named: str, plan: RunPlan, tmp_path: Path
) -> None:
    """Files at the run's path that the checkpoint does not know: an older disk, or another host's."""
    run, lines = RunDirectory(tmp_path), list[str]()
    run.create()
    own = give_identity(run.replay).name
    Shard(0, plan.replay, run.replay, identity=own).close()
    state = {"env_steps": 140, "replay": own if named == "its own" else named}
    write_checkpoint(tmp_path, learner_at(20, plan), "toy:2", state, keep_last=2)
    start = find_start(run, plan, lines.append)
    now = read_identity(run.replay)
    assert now is not None and start.env_steps == 140
    if named == "its own":
        assert now.name == own and any("every acknowledged transition" in line for line in lines)
        return
    assert any(
        f"not restored: the replay files in {run.replay}, which are of another" in line for line in lines
    )
    assert any(line.startswith("not restored: the replay, which is refilled") for line in lines)
    assert (
        now.name != own and now.follows == "another"
    )  # so that a start before the next checkpoint knows them
    assert [path.name for path in run.replay.glob("*/shard-0/layout.json")] == ["layout.json"]


def test_a_learner_that_dies_does_not_start_anew_when_its_checkpoints_are_gone(
    run: RunDirectory, plan: RunPlan
) -> None:
    run.write_config(plan.config)
    point = restart_point(run, plan, lambda: Learning(30, 900.0), print)
    assert point is not None and point.learner_steps == 20
    for steps in (10, 20):
        damage(run.checkpoint(steps))
    with pytest.raises(ValueError, match=r"needs a whole checkpoint to go on from, .* has none"):
        restart_point(run, plan, lambda: Learning(30, 900.0), print)
    shutil.rmtree(run.checkpoints)
    assert restart_point(run, plan, lambda: Learning(30, 5.0), print) is None  # none was due yet
    with pytest.raises(ValueError, match="holds none"):
        restart_point(run, plan, lambda: Learning(30, 900.0), print)


def test_nothing_starts_in_the_place_of_a_directory_that_was_moved(run: RunDirectory, plan: RunPlan) -> None:
    run.write_config(plan.config)
    run.path.rename(run.path.with_name("moved"))
    with pytest.raises(PlaceGoneError, match="is gone, moved or removed"):
        restart_point(run, plan, lambda: Learning(0, 0.0), print)


def test_a_damaged_checkpoint_that_cannot_be_renamed_is_passed_over(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, target: Path) -> Path:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "rename", refused)
    damage(run.checkpoint(20))
    assert resume_point(run.path, print) == ResumePoint(run.checkpoint(10), 100, 10)
