"""Runs on a disk that cannot be written to: looking at them works, writing there is refused before any work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.read_only import read_only
from tests.stars_dist.commands.conftest import SHORT, Command
from tests.stars_dist.commands.program import run_program

SWEEP = "suite: toy:2\nsteps: 600\npresets: [stars+small]\ndirectory: {directory}\n"


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "shared"
    shutil.copytree(finished_run, place / "run")
    with read_only(place):
        yield place / "run"


@pytest.mark.parametrize(
    "command",
    ["status RUN", "runs RUN", "evaluate RUN --episodes 1", "replay inspect RUN", "config show RUN"]
    + ["report RUN --out OUT/report.html", "export RUN --format safetensors --out OUT/policy.safetensors"]
    + ["features RUN --episodes 1 --states 4 --out OUT/features.png"],
)
def test_what_reads_the_run_works(command: str, run: Path, tmp_path: Path, stars_dist: Command) -> None:
    words = command.replace("RUN", str(run)).replace("OUT", str(tmp_path / "out")).split()
    done = stars_dist(*words)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("report RUN", "--out"),
        ("export RUN --format safetensors", "--out"),
        ("video RUN --gif", "--out"),
        ("features RUN --out RUN/features.png", "--out"),
        ("resume RUN --steps 800", "copy the run to a place of yours"),
        ("demo --out RUN/demo", "--out"),
        ("bench env --suite reach-v3 --write RUN", "--write"),
        ("bench env --suite reach-v3 --peer envpool --write RUN", "--write"),
        ("bench replay --write RUN", "--write"),
        ("chaos --write RUN", "--write"),
        ("chaos --run-dir RUN/chaos", "--run-dir"),
    ],
)
def test_what_writes_there_is_refused_in_one_line_before_any_work(
    command: str, option: str, run: Path, stars_dist: Command
) -> None:
    done = stars_dist(*command.replace("RUN", str(run)).split())
    assert done.code == 2 and done.err.startswith("error: ") and done.err.count("\n") == 1
    assert option in done.err and str(run.parent) in done.err and done.out == ""


def test_a_run_or_a_sweep_is_not_begun_there(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.format(directory=run.parent / "sweep"))
    for command in (("launch", *SHORT, "--run-dir", run.parent / "new"), ("sweep", file)):
        done = run_program(*command)
        assert done.returncode == 2 and done.stdout == ""
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
        assert str(run.parent) in done.stderr


def test_doctor_fails_for_runs_that_are_to_lie_there(run: Path) -> None:
    done = run_program("doctor", "--json", "--runs", run.parent / "runs")
    (row,) = [row for row in json.loads(done.stdout) if row["name"] == "runs"]
    assert done.returncode == 1 and row["verdict"] == "FAIL" and str(run.parent) in row["found"]
