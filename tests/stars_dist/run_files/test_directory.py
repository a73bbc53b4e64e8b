"""The run directory: its names are a contract with older runs, and one process at a time writes to it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from actors.evaluation_result import EvaluationResult, TaskEvaluation
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.run_config import RunConfig
from stars_dist.run_files.directory import RunDirectory

CONFIG = RunConfig.model_validate({"suite": "toy:4", "seed": 7})
LOCK = """
import sys
from pathlib import Path
from stars_dist.run_files.directory import RunDirectory
RunDirectory(Path(sys.argv[1])).lock()
print("locked")
"""


def test_names_stay_as_they_are() -> None:
    run = RunDirectory(Path("run"))
    names = {
        run.config_file: "config.yaml",
        run.provenance_file: "provenance.json",
        run.metrics_file: "metrics.jsonl",
        run.evaluation_file: "evaluation.json",
        run.failures_file: "failures.log",
        run.goals_file: "goals.npz",
        run.replay: "replay",
        run.snapshots: "replay-snapshots",
        run.checkpoint(1200): "checkpoints/step-1200",
    }
    assert {str(path): f"run/{name}" for path, name in names.items()} == {
        f"run/{name}": f"run/{name}" for name in names.values()
    }


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        ("toy:4", "toy4"),
        ("reach-v3,push-v3", "reach-v3+push-v3"),
        (
            "reach-v3,push-v3,door-lock-v3,window-open-v3,peg-insert-side-v3",
            "reach-v3+push-v3+door-lock-v3+more",
        ),
    ],
)
def test_a_new_run_is_named_by_suite_presets_seed_and_time(suite: str, name: str) -> None:
    run = RunDirectory.unused(None, CONFIG.model_copy(update={"suite": suite}), "stars+laptop")
    assert run.path.parent == Path("runs")
    assert run.path.name.startswith(f"{name}-stars+laptop-s7-20")
    assert not run.path.exists()


def test_configuration_and_provenance_are_read_as_they_were_written(tmp_path: Path) -> None:
    plan = resolve([set_layer("suite=toy:4"), set_layer("steps=9001"), set_layer("sac.gamma=0.9")]).plan
    run = RunDirectory.unused(tmp_path / "new" / "run", plan.config, "stars")
    run.create()
    run.write_config(plan.config)
    assert run.read_config() == plan.config
    assert run.read_plan() == plan
    for resumes in ([], ["once", "twice"]):
        run.write_provenance({"seed": 1, "resumes": resumes})
        assert run.read_provenance() == {"seed": 1, "resumes": resumes}
        assert run.num_resumes == len(resumes)
    assert RunDirectory.existing(run.path).path == run.path
    assert {path.name for path in run.path.iterdir()} == {"config.yaml", "provenance.json", "run.lock"}


@pytest.mark.parametrize("content", [None, "", "{torn", "[]"])
def test_a_lost_provenance_costs_itself_alone(content: str | None, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.write_config(CONFIG)
    for number in range(3):
        (tmp_path / f"events.out.tfevents.{number}.host").touch()
    if content is not None:
        run.provenance_file.write_text(content)
    record = run.read_provenance()
    assert (record["seed"], record["origins"], run.num_resumes) == (7, {}, 2)
    assert "provenance.json was lost" in record["command"]


def test_an_evaluation_is_of_the_end_for_the_steps_that_it_was_made_at(tmp_path: Path) -> None:
    plan = resolve([set_layer("suite=toy:4"), set_layer("steps=9000")]).plan
    run = RunDirectory(tmp_path)
    assert not run.has_finished(plan)
    run.evaluation_file.write_text("{torn")
    assert not run.has_finished(plan)
    for env_steps, is_end in ((8000, False), (9000, True)):
        task = TaskEvaluation("toy-0", 1.0, 2, (0.3, 1.0), 1.0)
        result = EvaluationResult("toy:4", "step-1", env_steps, 1, 2, (task,))
        run.evaluation_file.write_text(json.dumps(result.to_json()))
        assert run.has_finished(plan) == is_end


def test_a_directory_with_a_run_is_refused_for_another(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.write_config(CONFIG)
    with pytest.raises(ValueError, match=f"holds a run; use `stars-dist resume {tmp_path}`"):
        RunDirectory.unused(tmp_path, CONFIG, "stars")


@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluation.json", "checkpoints", "replay", "notes.txt"])
def test_a_directory_that_holds_anything_else_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=f"absent or empty directory, {tmp_path} holds {name}"):
        RunDirectory.unused(tmp_path, CONFIG, "stars")
    with pytest.raises(ValueError, match=f"absent or empty directory, {tmp_path} holds {name}"):
        RunDirectory(tmp_path).create()


def test_what_a_start_leaves_that_ended_too_soon_is_no_hindrance(tmp_path: Path) -> None:
    for name in ("run.lock", "provenance.json", ".provenance.json.123.tmp", ".config.yaml.123.tmp"):
        (tmp_path / name).touch()
    RunDirectory.unused(tmp_path, CONFIG, "stars").create()


@pytest.mark.parametrize("text", ["", "{a: [", "- 1", "network: null", "bogus: 1", "\xff"])
def test_a_broken_configuration_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.config_file.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match="must be as its launch wrote it") as caught:
        run.read_config()
    assert len(str(caught.value).splitlines()) == 1


def test_the_resume_command_is_one_that_a_shell_takes() -> None:
    run = RunDirectory(Path("my runs/it's"))
    assert shlex.split(run.resume_command) == ["stars-dist", "resume", "my runs/it's"]


def test_two_runs_that_start_within_a_second_have_two_directories() -> None:
    paths = {RunDirectory.unused(None, CONFIG, "stars").path for _ in range(8)}
    assert len(paths) > 6


@pytest.mark.parametrize("name", ["r" * 300, "/".join(["r" * 100] * 50)])
def test_a_name_that_is_too_long_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="can be made and written to"):
        RunDirectory.unused(tmp_path / name, CONFIG, "stars")


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=f"{tmp_path / 'file'} is a file; use another --run-dir"):
        RunDirectory.unused(tmp_path / "file" / "run", CONFIG, "stars")


def test_a_directory_without_a_run_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold config\.yaml"):
        RunDirectory.existing(tmp_path)


def test_a_path_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(ValueError, match="must be one that can be made"):
        RunDirectory(tmp_path / "run").create()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """A process that ends, in whatever way, lets the directory go."""
    first = RunDirectory(tmp_path)
    first.create()
    with pytest.raises(ValueError, match=f"serves one process at a time, {tmp_path} is in use"):
        RunDirectory(tmp_path).lock()
    done = subprocess.run([sys.executable, "-c", LOCK, tmp_path], capture_output=True, text=True, timeout=60)
    assert "is in use; stop that run first" in done.stderr
    del first
    done = subprocess.run([sys.executable, "-c", LOCK, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["locked"], done.stderr
    RunDirectory(tmp_path).lock()
