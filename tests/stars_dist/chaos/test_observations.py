"""What is seen of a run from outside: its metrics over a resume, its shards' counters, its lines."""

from __future__ import annotations

import json
from pathlib import Path

from stars_dist.chaos.observations import Observations
from stars_dist.run_files.directory import RunDirectory
from tests.stars_dist.chaos.conftest import ROWS, Filler


def line(wall_time_s: float, learner_steps: int) -> str:
    values = {"env_steps": 10, "learner_steps": learner_steps, "wall_time_s": wall_time_s}
    return json.dumps(values | {"perf/env_steps_per_s": 1.0}) + "\n"


def test_each_line_of_the_metrics_is_seen_once_also_when_a_resume_has_written_them_anew(
    tmp_path: Path,
) -> None:
    run, (first, second) = RunDirectory(tmp_path), (line(5.0, 1), line(10.0, 2))
    seen = Observations(run, tmp_path)
    seen.poll([])
    assert seen.learner_steps == 0
    run.metrics_file.write_text(first + second[:20])
    seen.poll([])
    with run.metrics_file.open("a") as file:
        file.write(second[20:])
    seen.poll([])
    assert [metric.learner_steps for metric in seen.metrics] == [1, 2]
    anew = tmp_path / "anew"
    anew.write_text(first + second + line(15.0, 7))
    anew.rename(run.metrics_file)
    seen.poll([])
    assert [metric.learner_steps for metric in seen.metrics] == [1, 2, 7]


def test_updates_between_two_lines_are_learning_and_a_step_back_is_not(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    seen = Observations(run, tmp_path)
    for wall_time_s, learner_steps in ((5.0, 300), (10.0, 200)):
        with run.metrics_file.open("a") as file:
            file.write(line(wall_time_s, learner_steps))
        seen.poll([])
    assert not seen.learns_since(0.0)
    with run.metrics_file.open("a") as file:
        file.write(line(15.0, 201))
    seen.poll([])
    assert seen.learns_since(0.0)
    assert not seen.learns_since(seen.metrics[-1].seen_at - 1e-6)


def test_actors_and_shards_are_seen_to_move(filler: Filler) -> None:
    run = RunDirectory(filler.left.replay.parent)
    seen = Observations(run, filler.left.acknowledgements)
    before = seen.shards()
    assert not seen.acts_since(0.0)
    filler.write(1, 2)
    seen.poll(["shard 0 is frozen (no answer)"])
    assert seen.shards()[1].moved == before[1].moved + 2 * ROWS
    assert seen.shards()[0] == before[0]
    assert list(seen.acknowledged_at) == [0] and seen.acts_since(0.0)
    assert seen.has_printed("shard 0 is frozen", 0.0) and not seen.has_printed("shard 1", 0.0)
    assert not seen.has_printed("shard 0 is frozen", seen.lines[-1][0] + 1.0)
