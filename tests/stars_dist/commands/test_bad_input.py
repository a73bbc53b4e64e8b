"""Runs that are not there, are empty, young, live or of a newer version; places, tasks and values that cannot be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stars_dist.run_files.directory import RunDirectory
from tests.stars_dist.commands.conftest import Command

RUN_COMMANDS = ("resume", "status", "evaluate", "report", "features", "video", "export", "replay inspect")


def newer_version(run: Path) -> None:
    with (run / "config.yaml").open("a") as file:
        file.write("hologram: 3\n")
    provenance = json.loads((run / "provenance.json").read_text())
    provenance["versions"]["stars-dist"] = "99.0.0"
    (run / "provenance.json").write_text(json.dumps(provenance))


@pytest.fixture
def copy(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def live(copy: Path) -> Iterator[Path]:
    """A run that a process holds."""
    (copy / "evaluation.json").unlink()
    run = RunDirectory(copy)
    run.lock()
    yield copy
    run.release()


@pytest.mark.parametrize("command", RUN_COMMANDS)
@pytest.mark.parametrize("is_there", [False, True], ids=["no directory", "an empty directory"])
def test_no_run(command: str, is_there: bool, tmp_path: Path, stars_dist: Command) -> None:
    place = tmp_path / "none"
    if is_there:
        place.mkdir()
    done = stars_dist(*command.split(), place)
    assert done.code == 2 and done.err.startswith("error: ") and done.err.count("\n") == 1
    assert str(place) in done.err
    assert place.exists() == is_there and not (is_there and list(place.iterdir())), "nothing is written"


@pytest.mark.parametrize("command", [c for c in RUN_COMMANDS if c not in ("status", "export")])
def test_a_run_of_a_newer_version(command: str, copy: Path, stars_dist: Command) -> None:
    newer_version(copy)
    done = stars_dist(*command.split(), copy)
    assert done.code == 2 and done.err.count("\n") == 1
    assert "(hologram: Extra inputs are not permitted)" in done.err and "https://" not in done.err
    assert "stars-dist 99.0.0 made it" in done.err and "pip install --upgrade stars-dist" in done.err


def test_a_live_run(live: Path, stars_dist: Command) -> None:
    assert json.loads(stars_dist("status", live, "--json").out)["state"] == "training"
    resumed, reported = stars_dist("resume", live), stars_dist("report", live)
    assert resumed.code == 2 and "is in use; stop that run first" in resumed.err
    assert reported.code == 2 and f"stars-dist status {live}" in reported.err
    assert stars_dist("export", live, "--format", "safetensors").code == 0, "its newest checkpoint is whole"


@pytest.mark.parametrize("command", ["evaluate", "video", "export", "features"])
def test_a_run_that_has_saved_no_checkpoint_yet(command: str, copy: Path, stars_dist: Command) -> None:
    shutil.rmtree(copy / "checkpoints")
    done = stars_dist(command, copy)
    assert done.code == 2 and done.err.count("\n") == 1
    assert f"{copy} has none yet; how it stands: stars-dist status {copy}" in done.err


def test_a_torn_evaluation_is_no_result(copy: Path, stars_dist: Command) -> None:
    (copy / "evaluation.json").write_text("{")
    done = stars_dist("report", copy)
    assert done.code == 2 and f"go on with: stars-dist resume {copy}" in done.err


@pytest.mark.parametrize("arguments", [("video", "--task", "toy-9"), ("export", "--task", "toy-9")], ids=str)
def test_a_task_that_is_not_in_the_suite(
    arguments: tuple[str, ...], finished_run: Path, stars_dist: Command
) -> None:
    done = stars_dist(arguments[0], finished_run, *arguments[1:])
    assert done.code == 2 and "got 'toy-9', did you mean 'toy-" in done.err


@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("export", "/proc/policy.onnx"),
        ("video", "/proc/films"),
        ("features", "/proc/features.png"),
        ("report", "/proc/report.html"),
    ],
)
def test_a_place_that_cannot_be_written_to(
    command: str, out: str, finished_run: Path, stars_dist: Command
) -> None:
    done = stars_dist(command, finished_run, "--out", out)
    assert done.code == 2 and "/proc" in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("export x --format pt", "--format must be one of 'onnx', 'torchscript', 'safetensors', got 'pt'"),
        ("demo --goals 0", "--goals must be greater than or equal to 1, got '0'; see stars-dist demo --help"),
        ("demo --goals many", "--goals must be a valid integer, got 'many'"),
        ("sweep none.yaml", "a sweep needs a file that exists, got none.yaml"),
        ("sweep /proc", "a sweep must be a YAML file, got /proc (Is a directory)"),
        ("bench env --peer envpool --actions scripted", "--peer compares random actions"),
        ("launch --tracker tensorflow --dry-run", "must be 'wandb' or 'mlflow', got tensorflow"),
        ("lanch", "No such command 'lanch'. Did you mean 'launch'"),
        ("status", "Missing argument 'RUN'; see stars-dist status --help"),
        ("launch mt10", "Got unexpected extra argument(s) (mt10); see stars-dist launch --help"),
        ("replay inspect --al", "see stars-dist replay inspect --help"),
    ],
)
def test_values_that_cannot_be(arguments: str, message: str, stars_dist: Command) -> None:
    done = stars_dist(*arguments.split())
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1
    assert "Value error" not in done.err and "Errno" not in done.err
