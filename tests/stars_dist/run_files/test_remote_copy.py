"""Copies of checkpoints outlive the machine: whole or not there, newest ones kept, and fetched onto another one."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import fsspec
import pytest

from replay_service.atomic_directory import sha256
from stars_dist.config.run_config import RunConfig
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.remote_copy import RemoteCopy
from tests.stars_dist.commands.conftest import run_command

CONFIG = RunConfig.model_validate({"suite": "toy:4", "seed": 7})


@pytest.fixture(params=["path", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    places = {
        "path": f"{tmp_path}/copy",
        "file": f"file://{tmp_path}/copy",
        "memory": f"memory://{uuid.uuid4()}",
    }
    return places[request.param]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "run")
    run.create()
    run.write_config(CONFIG)
    run.write_provenance({"seed": 7, "resumes": ["once"]})
    run.metrics_file.write_text('{"env_steps": 1}\n')
    return run


def checkpoint(run: RunDirectory, steps: int) -> Path:
    """Files as a checkpoint has them, one of them in a folder."""
    path = run.checkpoint(steps)
    (path / "serial").mkdir(parents=True)
    (path / "learner.pt").write_text(f"learner at {steps}")
    (path / "serial" / "state.npz").write_text(f"state at {steps}")
    hashes = {name: sha256(path / name) for name in ("learner.pt", "serial/state.npz")}
    (path / "manifest.json").write_text(json.dumps({"sha256": hashes}))
    return path


def elsewhere(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "new-machine")
    run.create()
    return run


def steps_at(url: str) -> set[str]:
    files, root = fsspec.core.url_to_fs(url)
    return {path.rstrip("/").rsplit("/", 1)[1] for path in files.ls(f"{root}/checkpoints", detail=False)}


def told_nothing(line: str) -> None:
    pytest.fail(line)


def test_what_is_copied_arrives_on_another_machine(run: RunDirectory, url: str, tmp_path: Path) -> None:
    copy = RemoteCopy(url)
    assert copy.read_config() is None
    copy.begin(run)
    for steps in (10, 20, 30):
        copy.save(run, checkpoint(run, steps), keep_last=2, tell=told_nothing)
    run.evaluation_file.write_text("{}")
    copy.finish(run, told_nothing)
    assert copy.read_config() == CONFIG
    assert steps_at(url) == {"step-20", "step-30"}
    there = elsewhere(tmp_path)
    assert copy.is_ahead_of(there) and not copy.is_ahead_of(run)
    copy.fetch(there, print)
    assert there.read_config() == CONFIG
    assert there.read_provenance()["resumes"] == ["once"]
    assert there.metrics_file.read_bytes() == run.metrics_file.read_bytes()
    assert there.evaluation_file.read_text() == "{}"
    assert [path.name for path in there.checkpoints.iterdir()] == ["step-30"]
    for name in ("learner.pt", "serial/state.npz", "manifest.json"):
        assert (there.checkpoint(30) / name).read_bytes() == (run.checkpoint(30) / name).read_bytes()


def test_a_checkpoint_without_its_manifest_is_none(run: RunDirectory, url: str, tmp_path: Path) -> None:
    copy = RemoteCopy(url)
    copy.begin(run)
    for steps in (10, 20):
        copy.save(run, checkpoint(run, steps), keep_last=3, tell=told_nothing)
    files, root = fsspec.core.url_to_fs(url)
    files.rm_file(
        f"{root}/checkpoints/step-20/manifest.json"
    )  # as a machine that died while it copied leaves it
    there = elsewhere(tmp_path)
    copy.fetch(there, print)
    assert [path.name for path in there.checkpoints.iterdir()] == ["step-10"]
    copy.save(run, checkpoint(run, 30), keep_last=3, tell=told_nothing)
    assert steps_at(url) == {"step-10", "step-30"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("learner.pt", b"torn"),
        ("learner.pt", None),
        ("manifest.json", b'{"sha256": {"learner.p'),
        ("manifest.json", b"[]"),
    ],
)
def test_a_damaged_copy_is_passed_over(
    name: str, content: bytes | None, run: RunDirectory, url: str, tmp_path: Path
) -> None:
    copy = RemoteCopy(url)
    copy.begin(run)
    for steps in (10, 20):
        copy.save(run, checkpoint(run, steps), keep_last=3, tell=told_nothing)
    files, root = fsspec.core.url_to_fs(url)
    if content is None:
        files.rm_file(f"{root}/checkpoints/step-20/{name}")
    else:
        files.pipe_file(f"{root}/checkpoints/step-20/{name}", content)
    there, lines = elsewhere(tmp_path), list[str]()
    copy.fetch(there, lines.append)
    assert [path.name for path in there.checkpoints.iterdir()] == ["step-10"]
    assert "step-20" in lines[0] and "damaged" in lines[0]


def test_a_fetch_that_is_cut_short_is_made_again(run: RunDirectory, url: str, tmp_path: Path) -> None:
    copy = RemoteCopy(url)
    copy.begin(run)
    copy.save(run, checkpoint(run, 10), keep_last=3, tell=told_nothing)
    files, root = fsspec.core.url_to_fs(url)
    whole = files.cat_file(f"{root}/checkpoints/step-10/learner.pt")
    files.rm_file(f"{root}/checkpoints/step-10/learner.pt")
    there = elsewhere(tmp_path)
    with pytest.raises(ValueError, match=r"needs a whole checkpoint to go on from, .* has none"):
        copy.fetch(there, print)
    files.pipe_file(f"{root}/checkpoints/step-10/learner.pt", whole)
    assert RunDirectory.existing(there.path).path == there.path and copy.is_ahead_of(there)
    copy.fetch(there, print)
    assert not copy.is_ahead_of(there)
    assert there.checkpoint(10).is_dir()


def test_the_same_step_is_copied_again(run: RunDirectory, url: str) -> None:
    copy = RemoteCopy(url)
    copy.begin(run)
    path = checkpoint(run, 10)
    copy.save(run, path, keep_last=3, tell=told_nothing)
    (path / "serial" / "state.npz").rename(path / "serial" / "other.npz")
    copy.save(run, path, keep_last=3, tell=told_nothing)
    files, root = fsspec.core.url_to_fs(url)
    assert not files.exists(f"{root}/checkpoints/step-10/serial/state.npz")
    assert files.exists(f"{root}/checkpoints/step-10/serial/other.npz")


def test_a_place_that_fails_costs_a_line_and_not_the_run(run: RunDirectory, tmp_path: Path) -> None:
    copy = RemoteCopy(f"{tmp_path}/copy")
    copy.begin(run)
    (tmp_path / "copy" / "checkpoints").rmdir()
    (tmp_path / "copy" / "checkpoints").write_text("")
    lines: list[str] = []
    copy.save(run, checkpoint(run, 10), keep_last=3, tell=lines.append)
    (line,) = lines
    assert line.startswith("warning: step-10 is NOT copied to ") and "the next one will be tried" in line


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_run_in_its_own_copy_is_not_copied_onto_itself(
    scheme: str, run: RunDirectory, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(run.path)
    assert RemoteCopy.of(f"{scheme}{run.path}", run.path) is None
    assert RemoteCopy.of(f"{scheme}{run.path}", link) is None
    assert RemoteCopy.of(f"{scheme}{run.path}", None) is not None
    assert RemoteCopy.of(f"{scheme}{tmp_path}/copy", run.path) is not None
    assert RemoteCopy.of(None, run.path) is None


@pytest.mark.parametrize("url", ["nowhere://x", "github://", "zip://x::/nothing.zip"])
def test_a_url_that_no_file_system_takes_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be a place that fsspec knows") as refusal:
        RemoteCopy(url)
    assert url in str(refusal.value)


def test_resume_refuses_it_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    RunDirectory(tmp_path).write_config(
        RunConfig.model_validate(
            {"suite": "toy:4", "serial": True, "checkpoint": {"directory": "nowhere://x"}}
        )
    )
    assert run_command("resume", tmp_path) == 2
    assert "must be a place that fsspec knows, got 'nowhere://x'" in capfd.readouterr().err
    assert not RunDirectory(tmp_path).provenance_file.exists()


def test_places_that_cannot_be_used_are_refused_at_once(run: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="must be a place that can be read and written"):
        RemoteCopy(f"{tmp_path}/file/copy").begin(run)
    for relative in ("copies", "file://copies", "local://copies"):
        with pytest.raises(ValueError, match="must be a URL or an absolute path"):
            RunConfig.model_validate({"checkpoint": {"directory": relative}})


def test_a_new_run_takes_no_place_of_another(run: RunDirectory, url: str) -> None:
    copy = RemoteCopy(url)
    copy.check_unused(run.path)
    copy.begin(run)
    with pytest.raises(ValueError, match="holds a run; go on with it by `stars-dist launch`"):
        copy.check_unused(run.path)


def test_a_copy_within_the_run_directory_is_none(run: RunDirectory) -> None:
    with pytest.raises(ValueError, match="must outlive the run directory"):
        RemoteCopy(f"{run.path}/backup/copy").check_unused(run.path)


def test_a_name_that_leads_out_of_the_checkpoint_is_refused(
    run: RunDirectory, url: str, tmp_path: Path
) -> None:
    copy = RemoteCopy(url)
    copy.begin(run)
    copy.save(run, checkpoint(run, 10), keep_last=3, tell=told_nothing)
    files, root = fsspec.core.url_to_fs(url)
    manifest = json.dumps({"sha256": {"../../config.yaml": "0"}}).encode()
    files.pipe_file(f"{root}/checkpoints/step-10/manifest.json", manifest)
    with pytest.raises(ValueError, match="which is no file of a checkpoint"):
        copy.fetch(elsewhere(tmp_path), print)
