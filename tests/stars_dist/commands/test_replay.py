"""`stars-dist replay inspect`, snapshots of a run, and a resume after the loss of a host."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()"]
SHORT = ["--suite", "toy:4", "--preset", "laptop", "--eval-episodes", "2", "--serial", "--steps", "2800"]


def stars_dist(*arguments: str | Path, code: int = 0) -> str:
    """Standard output of a command that exits with a code."""
    command = [*COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout if code == 0 else done.stderr


def inspect(run: Path) -> dict:
    return json.loads(stars_dist("replay", "inspect", run, "--json"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 2,800 steps with snapshots at 2,000 and at 2,400 steps kept."""
    run = tmp_path_factory.mktemp("runs") / "run"
    output = stars_dist("launch", *SHORT, "--replay-snapshot-every", "400", "--run-dir", run)
    assert output.count("snapshot of the replay at") >= 3
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_inspect_shows_every_task_of_a_finished_run(run: Path) -> None:
    report = inspect(run)
    assert [task["task"] for task in report["tasks"]] == [f"toy-{i}" for i in range(4)]
    for task in report["tasks"]:
        assert task["inserted"] == task["size"] == 700 and task["capacity"] == 100_000
        assert task["priority_mass"] > 0 and task["newest_key"] > 0
        assert task["last_chunk"] == {"0": {"incarnation": 1, "sequence": 6}}
        assert task["stale_updates"] == task["duplicate_chunks"] == 0
    assert report["shards"] == [{"shard": 0, "incarnation": 1, "unfinished_insert": False}]
    text = stars_dist("replay", "inspect", run).splitlines()
    assert len(text) == 6 and text[1].startswith("toy-0") and "0:6 (1)" in text[1]


def test_inspect_takes_a_bare_replay_directory_and_refuses_others(run: Path, tmp_path: Path) -> None:
    assert inspect(run / "replay")["tasks"][2]["task"] is None
    assert "must hold shard-*/layout.json" in stars_dist("replay", "inspect", tmp_path, code=2)


def test_lost_replay_files_cost_a_serial_run_nothing(run: Path) -> None:
    """Its checkpoint holds the replay; what a snapshot restores: tests/replay_service/test_snapshot.py."""
    assert len(list((run / "replay-snapshots").iterdir())) == 2
    shutil.rmtree(run / "replay")
    output = stars_dist("resume", run, "--steps", "3200")
    assert "everything, as it was after 100 updates and 2,800 environment steps" in output
    report = inspect(run)["tasks"]
    assert [task["inserted"] for task in report] == [task["size"] for task in report] == [800] * 4


def test_resume_reshards_the_replay(run: Path) -> None:
    before = inspect(run)["tasks"]
    output = stars_dist("resume", run, "--steps", "3200", "--shards", "3")
    assert "everything, as it was after 100 updates" in output
    after = inspect(run)
    assert [task["shard"] for task in after["tasks"]] == [0, 1, 2, 0]
    assert [task["size"] for task in after["tasks"]] == [task["size"] + 100 for task in before]
    assert [shard["incarnation"] for shard in after["shards"]] == [1, 1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["launch", "--replay-snapshot-every", "0"],
            "--replay-snapshot-every must be greater than or equal to 1",
        ),
        (["bench", "replay", "--rounds", "0"], "--rounds must be at least 1, got 0"),
    ],
)
def test_bad_input(arguments: list[str], message: str) -> None:
    assert message in stars_dist(*arguments, code=2)


def test_resume_with_more_shards_than_tasks_is_refused(run: Path) -> None:
    assert "got 9 shards for 4 tasks" in stars_dist("resume", run, "--steps", "3200", "--shards", "9", code=2)
