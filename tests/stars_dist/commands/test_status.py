"""`stars-dist runs` and `status`: every state of a run, beside a live one and after its end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.ending import note_interrupted
from stars_dist.status.run_list import runs_table
from stars_dist.status.run_status import State, read_status
from stars_dist.status.status_page import status_page
from tests.stars_dist.commands.conftest import Command


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished_run, tmp_path / "a run"))


def test_a_finished_run(run: Path, stars_dist: Command) -> None:
    status = json.loads(stars_dist("status", run, "--json").out)
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert status["state"] == "done" and status["resume_command"] is None
    assert status["env_steps"] == status["total_steps"] == 600 == status["evaluated_at"]
    assert status["learner_steps"] == status["total_updates"]
    assert status["eval_success"] == pytest.approx(evaluation["mean_success"])
    assert [task["name"] for task in status["tasks"]] == ["toy-0", "toy-1"]
    assert {task["name"]: task["eval_success"] for task in status["tasks"]} == {
        task["name"]: task["success_rate"] for task in evaluation["tasks"]
    }
    page = stars_dist("status", run, "--watch").out  # a run that has ended ends the watch
    assert page.startswith("done  ") and "600 of 600 steps" in page and "evaluation at 600 steps" in page


def test_a_run_that_a_process_holds_is_starting_then_training(run: Path) -> None:
    (run / "evaluation.json").unlink()
    metrics = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl").write_bytes(b"")
    holder = RunDirectory(run)
    holder.lock()
    assert read_status(run).state is State.STARTING
    half = metrics[: len(metrics) // 2]
    (run / "metrics.jsonl").write_bytes(half)  # its last line is cut short
    status = read_status(run)
    assert status.state is State.TRAINING
    last = json.loads(half.splitlines()[-2])
    assert status.env_steps >= last["env_steps"] and status.learner_steps >= last["learner_steps"]


def test_a_run_without_a_process_died_and_says_how_it_goes_on(run: Path, stars_dist: Command) -> None:
    (run / "evaluation.json").unlink()
    (run / "failures.log").write_text("one\nlearner: killed\n")
    out = stars_dist("status", run).out
    assert out.startswith("died  ") and "last failure: learner: killed" in out
    assert f"go on with: stars-dist resume '{run}'" in out


def test_a_run_that_was_saved_after_a_signal_was_interrupted(run: Path, stars_dist: Command) -> None:
    (run / "evaluation.json").unlink()
    note_interrupted(RunDirectory(run))
    out = stars_dist("status", run).out
    assert out.startswith("interrupted  ") and f"go on with: stars-dist resume '{run}'" in out
    listed = stars_dist("runs", run.parent).out
    assert listed.splitlines()[1].startswith("interrupted ")
    assert f"go on with one that was interrupted: stars-dist resume '{run}'" in listed


def test_a_suite_without_flags_leads_with_its_return(tmp_path: Path, stars_dist: Command) -> None:
    run = tmp_path / "run"
    short = ("--preset", "small", "--serial", "--steps", "400", "--eval-episodes", "1")
    assert stars_dist("launch", "--suite", "gym:Pendulum-v1", *short, "--run-dir", run).code == 0
    [task] = json.loads((run / "evaluation.json").read_text())["tasks"]
    status = json.loads(stars_dist("status", run, "--json").out)
    assert status["success"] is None and status["evaluated_at"] == 400
    assert status["eval_return"] == pytest.approx(task["mean_return"]) and status["eval_return"] < 0
    page = stars_dist("status", run).out
    assert f"evaluation at 400 steps: mean return {status['eval_return']:.2f}" in page
    assert "success" not in page
    row = stars_dist("runs", tmp_path).out.splitlines()[1]
    assert f"return {status['eval_return']:.1f} " in row


def test_a_configuration_of_a_newer_version_is_said(run: Path, stars_dist: Command) -> None:
    config, record = run / "config.yaml", json.loads((run / "provenance.json").read_text())
    config.write_text(config.read_text() + "telepathy: true\n")
    record["versions"]["stars-dist"] = "99.0"
    (run / "provenance.json").write_text(json.dumps(record))
    out = stars_dist("status", run).out
    assert out.startswith("unreadable") and "stars-dist 99.0" in out and "pip install" in out
    assert "unreadable" in stars_dist("runs", run.parent).out


def test_runs_lists_the_newest_first_at_any_depth(run: Path, tmp_path: Path, stars_dist: Command) -> None:
    older = Path(shutil.copytree(run, tmp_path / "sweep" / "older"))
    (older / "evaluation.json").unlink()
    listed = json.loads(stars_dist("runs", tmp_path, "--json").out)
    assert {(entry["run"], entry["state"]) for entry in listed} == {(str(run), "done"), (str(older), "died")}
    ages = [entry["age_s"] for entry in listed]
    assert ages == sorted(ages)
    lines = stars_dist("runs", tmp_path).out.splitlines()
    assert lines[0].startswith("state") and len(lines) == 4 and "stars-dist resume" in lines[-1]


@pytest.mark.parametrize("columns", [60, 80])
def test_both_fit_a_narrow_terminal(columns: int, run: Path) -> None:
    (run / "evaluation.json").unlink()
    large = {"env_steps": 1_200_000, "learner_steps": 585_000, "env_steps_per_s": 1234.0, "eta_s": 1e4}
    status = read_status(run)._replace(
        run="runs/mt10-stars+laptop-s1-20261127-4821",
        total_steps=100_000_000,
        total_updates=48_750_000,
        **large,
    )
    page = status_page(status, columns=columns).splitlines()
    assert all(len(line) <= columns for line in page[:-1])
    assert page[-1] == f"  go on with: stars-dist resume '{run}'", "a command is whole, however long"
    assert " ".join(status_page(status).split()) == " ".join(" ".join(page).split()), "nothing is left out"
    listed = runs_table([status, status], columns).splitlines()
    assert all(len(line) <= columns for line in listed[:3])
    assert listed[0].split()[:2] == ["state", "success"] and listed[0].endswith("run")
    assert len(runs_table([status]).splitlines()[0].split()) == 9, "what is no terminal gets all"


def test_no_runs_yet_are_no_error(
    tmp_path: Path, stars_dist: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = stars_dist("runs")
    assert done.code == 0 and done.out == "no runs in runs; `stars-dist launch` makes one\n"
    assert json.loads(stars_dist("runs", "--json").out) == []


def test_bad_input(tmp_path: Path, stars_dist: Command) -> None:
    for arguments, message in (
        (("status", tmp_path / "none"), "must hold config.yaml"),
        (("runs", tmp_path / "none"), "must be given a directory"),
    ):
        done = stars_dist(*arguments)
        assert done.code == 2 and message in done.err and done.err.count("\n") == 1
    assert "no runs in" in stars_dist("runs", tmp_path).out
