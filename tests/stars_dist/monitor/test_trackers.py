"""Trackers: MLflow's and W&B's own files hold what metrics.jsonl holds, and none of them can stop a run."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stars_dist.config.run_config import RunConfig
from stars_dist.monitor.metrics import read_metrics
from stars_dist.monitor.recorder import Recorder
from stars_dist.monitor.trackers import TrackerMirror, check_installed, open_mirrors
from stars_dist.run_files.directory import RunDirectory

SUCCESS = "rollout/success/push-v3"
LOSSES = {"train/loss": 3.0, "train/loss/push-v3": 4.0}  # of all tasks, and of one


def record(run: RunDirectory, name: str, steps: int, lines: list[str]) -> None:
    """Record two values at two moments, as a run of that tracker does."""
    config = RunConfig.model_validate({"trackers": [name]})
    with closing(Recorder(run, lines.append, mirrors=open_mirrors(run, config, lines.append))) as recorder:
        recorder.write(steps, 1, {SUCCESS: 0.25, "train/critic_loss": float("nan")})
        recorder.write(steps + 10, 2, {SUCCESS: 0.5, **LOSSES})


@pytest.mark.timeout(600)
def test_mlflow_has_the_metrics_and_a_second_start_goes_on_with_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow: Any = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # it needs no database
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'mlruns'}")
    run, lines = RunDirectory(tmp_path / "first"), []
    run.path.mkdir()
    record(run, "mlflow", 100, lines)
    record(run, "mlflow", 200, lines)
    assert not lines
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("stars-dist")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.run_name == "first" and found.info.status == "FINISHED"
    assert found.data.params["sac.gamma"] == "0.99" and found.data.params["trackers"] == "['mlflow']"
    history = client.get_metric_history(found.info.run_id, "rollout/success.push-v3")
    assert sorted((m.step, m.value) for m in history) == [(100, 0.25), (110, 0.5), (200, 0.25), (210, 0.5)]
    assert (found.data.metrics["train/loss"], found.data.metrics["train/loss.push-v3"]) == (3.0, 4.0)
    assert "train/critic_loss" not in found.data.metrics, "what is not finite has no meaning yet"
    assert json.loads(run.trackers_file.read_text()) == {"mlflow": found.info.run_id}


@pytest.mark.timeout(600)
def test_wandb_writes_offline_files_into_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb: Any = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run, lines = RunDirectory(tmp_path / "first"), []
    run.path.mkdir()
    record(run, "wandb", 100, lines)
    wandb.teardown()  # as at the end of the program: its own process writes the last of it
    assert not lines
    run_id = json.loads(run.trackers_file.read_text())["wandb"]
    (file,) = run.path.glob(f"wandb/offline-run-*/run-{run_id}.wandb")
    written = file.read_bytes()
    for text in (SUCCESS, "env_steps", "0.25", "110", "first"):
        assert text.encode() in written


def test_a_tracker_that_fails_is_named_once_and_the_run_has_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as where it is not installed
    run, lines = RunDirectory(tmp_path), []
    record(run, "wandb", 100, lines)
    assert lines == [
        "warning: tracker wandb mirrors no more (ValueError: tracker wandb needs the package wandb; pip install "
        "'stars-dist[wandb]', or leave it out); TensorBoard and metrics.jsonl have everything"
    ]
    assert [line[SUCCESS] for line in read_metrics(run.metrics_file)] == [0.25, 0.5]
    with pytest.raises(ValueError, match=r"pip install 'stars-dist\[wandb\]'"):
        check_installed(["wandb"])


def test_mlflow_without_a_server_or_a_database_is_refused_with_both_remedies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ValueError, match=r"set MLFLOW_TRACKING_URI=.* or pip install mlflow"):
        check_installed(["mlflow"])


class Blocked:
    """A service that answers only when it is let."""

    run_id = "none"

    def __init__(self) -> None:
        self.may_answer, self.seen = threading.Event(), []

    def log(self, env_steps: int, wall_time_s: float, values: Mapping[str, float]) -> None:
        assert self.may_answer.wait(60)
        self.seen.append(env_steps)

    def close(self) -> None:
        self.seen.append("closed")


def test_a_service_that_does_not_answer_holds_no_record_up_and_gets_all_of_them_later() -> None:
    service, lines = Blocked(), []
    mirror = TrackerMirror("slow", lambda: service, lines.append)
    for steps in range(100):
        mirror.log(steps, 0.0, {})
    assert service.seen == [], "every record was taken while the service waited"
    service.may_answer.set()
    mirror.close()
    assert service.seen == [*range(100), "closed"] and not lines
