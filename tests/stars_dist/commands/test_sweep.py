"""`stars-dist sweep` and `launch --seeds`: every combination once, and again where it was left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stars_dist.run_files.directory import RunDirectory
from stars_dist.status.run_status import State, read_status
from stars_dist.sweep.seeds import parse_seeds
from tests.stars_dist.commands.conftest import SHORT, Command
from tests.stars_dist.commands.program import PROGRAM, run_program

LONGER = """
suite: toy:2
steps: 8000
presets: [stars+small, mtsac+small]
set: {{evaluation.final_episodes_per_task: 2}}
directory: {directory}
"""

FILE = """
suite: toy:2
steps: 600
presets: [stars+small, mtsac+small]
seeds: [1, 2]
overrides: [{}, {sac.gamma: 0.9}]
set: {evaluation.final_episodes_per_task: 2}
"""


def test_a_sweep_names_every_combination_once(tmp_path: Path, stars_dist: Command) -> None:
    file = tmp_path / "gammas.yaml"
    file.write_text(FILE)
    rows = json.loads(stars_dist("sweep", file, "--dry-run", "--json").out)
    assert [row["name"] for row in rows][:4] == [
        "stars+small-s1",
        "stars+small-sac.gamma=0.9-s1",
        "mtsac+small-s1",
        "mtsac+small-sac.gamma=0.9-s1",
    ]
    assert len(rows) == 8 and not any(row["done"] for row in rows)
    assert "--set sac.gamma=0.9" in rows[1]["command"] and "--run-dir runs/gammas/" in rows[1]["command"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("suit: toy:2", "suit: Extra inputs"),
        ("presets: [stars+smal]", "did you mean 'small'"),
        ("presets: []", "presets: List should have at least 1 item"),
        ("seeds: [1, 1]", "must name each run once, got mtsac+small-s1 twice"),
        ("overrides: [{sac.gama: 1}]", "did you mean 'gamma'"),
    ],
)
def test_bad_files(change: str, message: str, tmp_path: Path, stars_dist: Command) -> None:
    file = tmp_path / "bad.yaml"
    key = change.split(":")[0]
    lines = [line for line in FILE.splitlines() if not line.startswith(f"{key}:")]
    file.write_text("\n".join([*lines, change]))
    done = stars_dist("sweep", file, "--dry-run")
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_by_ray_tune_ends_in_a_report_and_goes_on(tmp_path: Path, stars_dist: Command) -> None:
    pytest.importorskip("ray.tune")
    file = tmp_path / "two.yaml"
    small = FILE.replace("seeds: [1, 2]", "seeds: [1]").replace("overrides: [{}, {sac.gamma: 0.9}]", "")
    file.write_text(f"{small}\ndirectory: {tmp_path / 'two'}\n")
    done = stars_dist("sweep", file, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out.splitlines()[-1])
    assert len(result["done"]) == 2 and result["failed"] == [] and not result["was_interrupted"]
    assert all(Path(page).is_file() for page in result["report"])
    again = stars_dist("sweep", file, "--json")
    assert json.loads(again.out)["done"] == result["done"]
    file.write_text(file.read_text().replace("steps: 600", "steps: 800"))
    changed = stars_dist("sweep", file, "--json")
    assert changed.code == 2 and "holds another run (steps is 600 there and 800 here" in changed.err


@pytest.mark.cluster
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_interrupted_sweep_saves_its_runs_and_the_same_command_goes_on_with_them(tmp_path: Path) -> None:
    pytest.importorskip("ray.tune")
    file, place = tmp_path / "two.yaml", tmp_path / "two"
    file.write_text(LONGER.format(directory=place))
    sweep = subprocess.Popen(
        [*PROGRAM, "sweep", file, "--json"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    runs = [place / f"{preset}+small-s1" for preset in ("stars", "mtsac")]
    try:
        wait_for(lambda: any(state_of(run) is State.TRAINING for run in runs), sweep)
        os.killpg(sweep.pid, signal.SIGINT)  # as Ctrl-C in a terminal
        out, _ = sweep.communicate(timeout=300)
    finally:
        sweep.kill()
    assert sweep.returncode == 130
    interrupted = json.loads(out.splitlines()[-1])
    assert interrupted["was_interrupted"] and not interrupted["report"] and len(interrupted["done"]) < 2
    begun = [run for run in runs if state_of(run) is State.INTERRUPTED]
    assert begun and all(read_status(run).env_steps > 0 for run in begun)
    assert not any(state_of(run) is State.DIED for run in runs)
    done = run_program("sweep", file, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert sorted(result["done"]) == sorted(map(str, runs)) and not result["failed"]
    assert all(Path(page).is_file() for page in result["report"]) and result["no_report"] is None
    assert all(RunDirectory(run).num_resumes == 1 for run in begun), "they went on and were not begun anew"


def state_of(run: Path) -> State | None:
    return read_status(run).state if (run / "config.yaml").is_file() else None


def wait_for(happens: Callable[[], bool], program: subprocess.Popen[str], timeout_s: float = 300.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not happens():
        assert program.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_seeds_run_in_turn_and_a_second_call_finds_them_done(tmp_path: Path, stars_dist: Command) -> None:
    place = tmp_path / "seeds of it"
    command = ("launch", *SHORT, "--eval-episodes", "2", "--seeds", "1,2", "--run-dir", place)
    done = stars_dist(*command)
    assert done.code == 0, done.err
    assert f"report '{place}/seed-1' '{place}/seed-2'" in done.out
    assert [(place / f"seed-{i}" / "evaluation.json").is_file() for i in (1, 2)] == [True, True]
    again = stars_dist(*command)
    assert again.code == 0 and "training" not in again.out
    other = stars_dist(*command, "--set", "sac.gamma=0.5")
    assert other.code == 2 and "holds another run (sac." in other.err


def test_seeds_are_numbers_or_a_range() -> None:
    assert parse_seeds("3,1") == [3, 1]
    assert parse_seeds("1-3,7") == [1, 2, 3, 7]
    for wrong in ("", "a", "3-1", "1,,2"):
        with pytest.raises(ValueError, match="use 1,2,3 or 1-3"):
            parse_seeds(wrong)
    with pytest.raises(ValueError, match="got 1 twice"):
        parse_seeds("1,1")


def test_seed_and_seeds_exclude_each_other(stars_dist: Command) -> None:
    done = stars_dist("launch", *SHORT, "--seed", "1", "--seeds", "1,2")
    assert done.code == 2 and "leave out one" in done.err
