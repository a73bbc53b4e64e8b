"""The history of tasks: where a moment goes, and what a run that goes on knows of before."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from replay_service.full_disk import DiskPause
from stars_dist.monitor.metrics import Clocks, MetricsFile, read_first_of_windows
from stars_dist.monitor.task_history import MOMENTS, TaskHistory

NAMES = ("a", "b")


def test_metrics_go_to_the_hundredth_of_the_run_in_which_they_were_made() -> None:
    history = TaskHistory(NAMES, total_steps=1000)
    history.record(0, {"rollout/success/a": 0.5})
    history.record(999, {"rollout/success/a": 1.0, "rollout/success/b": 0.25})
    history.record(1500, {"rollout/success/b": 0.75})  # the last chunks may pass the budget
    history.record(500, {"sampling/quota/a": 30.0, "sampling/quota/b": 10.0})
    assert history.success[:, 0].tolist()[0] == 0.5 and np.isnan(history.success[1, 0])
    assert history.success[:, MOMENTS - 1].tolist() == [1.0, 0.75]
    assert history.quota[:, 50].tolist() == [1.5, 0.5]
    assert np.isfinite(history.quota).sum() == 2


def test_a_run_that_goes_on_knows_what_was_before(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path, DiskPause("metrics", tmp_path, print))
    for steps in range(0, 1000, 2):
        file.write(Clocks(steps, 0, 1.0), {"rollout/success/a": steps / 1000, "rollout/success/b": 0.0})
        file.write(Clocks(steps, 0, 1.0), {"sampling/quota/a": 1.0, "sampling/quota/b": 3.0})
    file.close()
    history = TaskHistory(NAMES, total_steps=1000)
    history.restore(path)
    np.testing.assert_allclose(history.success[0], np.arange(100) / 100)
    assert (history.quota[1] == 1.5).all()
    read = list(read_first_of_windows(path, 10, ("rollout/success/", "sampling/quota/")))
    assert len(read) == 200, "of a thousand lines only those that are shown are parsed"
