"""The monitor of a run: what the learner reports is recorded once, whatever it goes back to."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from learner.loop import LearnerReport
from replay_service.shard import Shard
from stars_dist.config.merge import resolve, set_layer
from stars_dist.monitor.console import Console
from stars_dist.monitor.metrics import read_metrics
from stars_dist.monitor.recorder import Recorder
from stars_dist.monitor.run_monitor import RunMonitor
from stars_dist.run_files.directory import RunDirectory


def test_env_steps_go_on_where_a_shard_has_lost_rows_and_is_not_told_yet(tmp_path: Path) -> None:
    layers = [set_layer(text) for text in ("suite=toy:2", "steps=100000", "replay.storage=memory")]
    plan, run = resolve(layers).plan, RunDirectory(tmp_path)
    run.write_config(plan.config)
    console = Console()
    counters = Shard(0, plan.replay).stats()
    with closing(Recorder(run, console.line)) as recorder:
        monitor = RunMonitor(plan, recorder, console, 150, 5000)
        seen = []
        for inserted in (0, 2600, 2000, 2700):  # of each task
            monitor.record_shard(0, counters._replace(inserted=np.full(2, inserted)))
            seen.append(monitor.env_steps)
    console.close()
    assert seen == [5000, 5200, 5200, 5400]


def reports(*learner_steps: int) -> tuple[LearnerReport, ...]:
    return tuple(LearnerReport(1000, steps, {"train/critic_loss": 1.0}) for steps in learner_steps)


def test_reports_of_updates_that_are_made_again_are_not_recorded_again(tmp_path: Path) -> None:
    plan, run = resolve([set_layer("suite=toy:2"), set_layer("steps=100000")]).plan, RunDirectory(tmp_path)
    run.write_config(plan.config)
    console = Console()
    with closing(Recorder(run, console.line)) as recorder:
        monitor = RunMonitor(plan, recorder, console)
        monitor.record_learner(250, reports(100, 200))
        monitor.record_learner(210, reports(200))  # restarted from its checkpoint at 150
        assert monitor.learner_steps == 210
    with closing(Recorder(run, console.line)) as recorder:  # resumed from the same
        monitor = RunMonitor(plan, recorder, console, 150)
        assert monitor.learner_steps == 150
        monitor.record_learner(310, reports(200, 300))
    console.close()
    assert [line["learner_steps"] for line in read_metrics(run.metrics_file)] == [100, 200, 300]


@pytest.mark.parametrize("owns_processes", [True, False], ids=["its own Ray", "a joined cluster"])
def test_the_cores_in_use_are_told_where_all_processes_are_known(
    tmp_path: Path, owns_processes: bool
) -> None:
    plan, run = (
        resolve([set_layer("suite=toy:2"), set_layer("replay.storage=memory")]).plan,
        RunDirectory(tmp_path),
    )
    run.write_config(plan.config)
    console = Console()
    with closing(Recorder(run, console.line)) as recorder:
        monitor = RunMonitor(plan, recorder, console, owns_processes=owns_processes)
        monitor.record_shard(0, Shard(0, plan.replay).stats())
        monitor.write_metrics()
    console.close()
    (line,) = read_metrics(run.metrics_file)
    assert ("perf/busy_cores" in line) == owns_processes
