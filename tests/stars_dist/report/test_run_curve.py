"""The learning curve of one run: what of its metrics is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image

from stars_dist.report.run_curve import draw_run_curve, read_series
from stars_dist.run_files.directory import RunDirectory

LINES = [
    {"env_steps": 100, "learner_steps": 0, "wall_time_s": 60.0, "rollout/success/a": 0.5},
    {"env_steps": 200, "learner_steps": 5, "wall_time_s": 120.0, "train/critic_loss": 1.0},
    {
        "env_steps": 300,
        "learner_steps": 9,
        "wall_time_s": 180.0,
        "rollout/success/a": 1.0,
        "rollout/success/b": 0.0,
    },
    {
        "env_steps": 300,
        "learner_steps": 9,
        "wall_time_s": 240.0,
        "eval/success/a": 0.8,
        "eval/success/b": 0.2,
    },
]


def test_series_hold_every_moment_that_has_a_value() -> None:
    series = read_series(LINES, "rollout/success/")
    np.testing.assert_array_equal(series.minutes, [1.0, 3.0])
    np.testing.assert_array_equal(series.values["a"], [0.5, 1.0])
    np.testing.assert_array_equal(series.values["b"], [np.nan, 0.0])
    assert list(read_series(LINES, "eval/success/").values) == ["a", "b"]


def test_picture(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    path = draw_run_curve(run)
    assert path == tmp_path / "curves.png"
    drawn = image.imread(path)
    assert drawn.shape[1] > 900 and len(np.unique(drawn.reshape(-1, drawn.shape[2]), axis=0)) > 50


def test_a_hundred_tasks_leave_room_for_the_curves(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    rates = {f"eval/success/task-{i}": i / 100 for i in range(100)}
    run = RunDirectory(tmp_path)
    run.metrics_file.write_text(
        "".join(json.dumps({**LINES[0], "wall_time_s": 60.0 * n, **rates}) + "\n" for n in (1, 2))
    )
    drawn = image.imread(draw_run_curve(run))
    assert not recwarn.list  # of a layout that found no room
    coloured = np.ptp(drawn[:, :, :3], axis=2).any(axis=0)
    assert np.flatnonzero(coloured)[-1] > 0.6 * drawn.shape[1]


def test_a_single_evaluation_of_many_tasks_is_seen(tmp_path: Path) -> None:
    rates = {f"eval/success/task-{i}": i / 30 for i in range(30)}
    run = RunDirectory(tmp_path)
    run.metrics_file.write_text(json.dumps({**LINES[1], **rates}) + "\n")
    drawn = image.imread(draw_run_curve(run))
    assert np.ptp(drawn[:, :, :3], axis=2).max() > 0.3


def test_a_run_without_any_episode_has_an_empty_picture(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.metrics_file.write_text(json.dumps(LINES[1]) + "\n")
    assert draw_run_curve(run).is_file()
