"""The configuration of a run that somebody else made runs no code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.foreign_code import VARIABLE, imported_modules, permission

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()"]
SUITE = "gym:intruder:Anything-v0,Pendulum-v1"


@pytest.mark.parametrize(
    ("suite", "modules"),
    [
        (SUITE, ["intruder"]),
        ("gym:a.b:X-v0, c:Y-v1", ["a.b", "c"]),
        ("gym:Pendulum-v1", []),
        ("mt10", []),
        ("toy:4", []),
    ],
)
def test_the_modules_of_a_suite(suite: str, modules: list[str]) -> None:
    assert imported_modules(suite) == modules


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run whose suite names a module that leaves a trace when it is imported."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    monkeypatch.syspath_prepend(str(tmp_path))
    trace = f"import pathlib\npathlib.Path({str(tmp_path / 'trace')!r}).touch()\n"
    (tmp_path / "intruder.py").write_text(trace)
    run = RunDirectory(tmp_path / "run")
    (run.checkpoints / "step-1").mkdir(parents=True)
    run.config_file.write_text(yaml.safe_dump({"suite": SUITE}))
    return run


@pytest.mark.parametrize("command", [["resume"], ["report", "--out", "page.md"]])
def test_a_foreign_run_imports_nothing_unasked(
    command: list[str], foreign: RunDirectory, tmp_path: Path
) -> None:
    foreign.metrics_file.touch()
    foreign.evaluation_file.write_text("{}")
    done = subprocess.run(
        [*COMMAND, command[0], str(foreign.path), *command[1:]], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert f"intruder, whose code would run here; if it is yours, set {VARIABLE}=intruder" in done.stderr
    assert not (tmp_path / "trace").exists()


def test_it_does_if_it_is_asked_to(
    foreign: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "other, intruder")
    with pytest.raises(ValueError, match="registered Gymnasium environment"):  # the module registers none
        foreign.read_plan()
    assert (tmp_path / "trace").exists()


def test_the_resume_command_asks_for_what_its_user_launched(foreign: RunDirectory) -> None:
    assert foreign.resume_command.startswith(f"{VARIABLE}=intruder stars-dist resume ")
    assert permission("toy:4") == ""


def test_objects_in_a_configuration_are_not_made(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.config_file.write_text(f"suite: !!python/object/apply:pathlib.Path.touch [{tmp_path / 'owned'}]\n")
    with pytest.raises(ValueError, match=r"must be as its launch wrote it"):
        run.read_plan()
    assert not (tmp_path / "owned").exists()
