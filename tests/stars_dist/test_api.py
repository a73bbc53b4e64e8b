"""`import stars_dist`: a run from Python, and what it wrote as columns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import stars_dist
from stars_dist.status.run_status import State


@pytest.mark.timeout(600)
def test_train_returns_a_run_that_reads_what_was_written(tmp_path: Path) -> None:
    settings = {"steps": 600, "serial": True, "evaluation.final_episodes_per_task": 2}
    run = stars_dist.train("toy:2", ("stars", "small"), settings=settings, run_dir=tmp_path / "run")
    assert run.path == tmp_path / "run" and run.config.steps == 600
    assert run.status().state is State.DONE and run.provenance["origins"]["steps"] == "train(steps)"
    metrics = run.metrics()
    assert len({len(column) for column in metrics.values()}) == 1
    assert metrics["env_steps"].max() == 600
    evaluated = metrics["eval/mean_success"][~np.isnan(metrics["eval/mean_success"])]
    assert evaluated[-1] == pytest.approx(run.evaluation().mean_success)
    assert list(run.metrics("train/critic_loss")) == [
        "env_steps",
        "learner_steps",
        "wall_time_s",
        "train/critic_loss",
    ]
    obs, _ = stars_dist.make_env("toy-1", "toy:2").reset()
    assert np.array_equal(run.policy().act(obs, "toy-1"), stars_dist.load_policy(run.path).act(obs, "toy-1"))


def test_bad_input_is_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="did you mean 'gamma'"):
        stars_dist.train("toy:2", settings={"sac.gama": 1}, run_dir=tmp_path / "run")
    with pytest.raises(ValueError, match=r"must hold config\.yaml"):
        stars_dist.Run(tmp_path)
    with pytest.raises(AttributeError, match="no attribute 'tain'"):
        stars_dist.tain  # noqa: B018
    assert list(tmp_path.iterdir()) == []


def test_the_package_alone_loads_nothing_heavy() -> None:
    code = "import sys, stars_dist; print([m for m in ('numpy', 'torch', 'ray', 'pydantic') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
