"""metrics.jsonl across crashes and resumes."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from replay_service.full_disk import DiskPause
from stars_dist.monitor.metrics import Clocks, MetricsFile, cut_metrics, read_metrics, recorded_learning
from stars_dist.run_files.recorded import Kept, Learning, MetricsEnd


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = MetricsFile(tmp_path / "metrics.jsonl", DiskPause("metrics", tmp_path, print))
    for steps in (100, 200, 300):
        file.write(Clocks(steps, steps // 4, steps / 10), {"train/loss": 1.5, "replay/age": float("nan")})
    file.close()
    return tmp_path / "metrics.jsonl"


def test_a_line_has_the_clocks_and_the_finite_values(path: Path) -> None:
    first = {"env_steps": 100, "learner_steps": 25, "wall_time_s": 10.0, "train/loss": 1.5}
    assert json.loads(path.read_text().splitlines()[0]) == first
    assert next(read_metrics(path)) == first


def test_a_torn_last_line_is_left_out(path: Path) -> None:
    path.write_text(path.read_text()[:-20])
    assert [line["env_steps"] for line in read_metrics(path)] == [100, 200]
    assert list(read_metrics(path.with_name("none.jsonl"))) == []


@pytest.mark.parametrize(
    ("env_steps", "kept", "wall_time_s"),
    [(None, [100, 200, 300], 30.0), (250, [100, 200], 20.0), (200, [100, 200], 20.0), (0, [], 0.0)],
)
def test_a_resumed_run_cuts_what_it_makes_again(
    path: Path, env_steps: int | None, kept: list[int], wall_time_s: float
) -> None:
    with path.open("a") as file:
        file.write('{"env_steps": 40')  # killed while it wrote
    assert cut_metrics(path, MetricsEnd(env_steps)).wall_time_s == wall_time_s
    assert [line["env_steps"] for line in read_metrics(path)] == kept
    assert path.read_text().endswith("}\n") or not kept


def test_a_new_run_has_nothing_to_cut(tmp_path: Path) -> None:
    assert cut_metrics(tmp_path / "metrics.jsonl", MetricsEnd()) == Kept()
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_a_cut_by_bytes_keeps_what_was_written_until_then(path: Path) -> None:
    size_bytes = path.stat().st_size
    with path.open("a") as file:
        file.write('{"env_steps": 300, "learner_steps": 80, "wall_time_s": 31.0}\n')
    assert cut_metrics(path, MetricsEnd(300, size_bytes)).wall_time_s == 30.0
    assert path.stat().st_size == size_bytes
    assert cut_metrics(path, MetricsEnd(0, 0)) == Kept()
    assert path.stat().st_size == 0


def test_a_cut_tells_of_the_last_report_and_evaluation_that_are_left(path: Path) -> None:
    file = MetricsFile(path, DiskPause("metrics", path.parent, print))
    file.write(Clocks(400, 90, 40.0), {"eval/mean_success": 0.5})
    file.write(Clocks(500, 120, 50.0), {"train/loss": 1.0})
    file.write(Clocks(600, 110, 60.0), {"replay/size": 1.0})
    file.close()
    assert cut_metrics(path, MetricsEnd()) == Kept(60.0, 120, 400)
    assert cut_metrics(path, MetricsEnd(399)) == Kept(30.0, 75, 0)
    assert [line["env_steps"] for line in read_metrics(path, from_steps=200)] == [200, 300]


@pytest.mark.parametrize(
    "torn", ['{"env_steps": 15', '{"env_steps": 15{"env_steps": 150}', "\x00\x00", "[]", "7"]
)
def test_a_torn_line_in_the_middle_costs_itself_alone(path: Path, torn: str) -> None:
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text(f"{first}{torn}\n{''.join(rest)}")
    assert [line["env_steps"] for line in read_metrics(path)] == [100, 200, 300]
    assert recorded_learning(path) == Learning(75, 20.0)
    assert cut_metrics(path, MetricsEnd()).wall_time_s == 30.0
    assert path.read_text() == first + "".join(rest)


def test_many_tasks_have_long_lines_and_cut_in_little_memory(tmp_path: Path) -> None:
    values = {f"replay/sampled_age/task-{i}": float(i) for i in range(2000)}
    file = MetricsFile(tmp_path / "metrics.jsonl", DiskPause("metrics", tmp_path, print))
    for steps in range(300):
        file.write(Clocks(steps, steps, float(steps)), values)
    file.close()
    tracemalloc.start()
    try:
        assert cut_metrics(tmp_path / "metrics.jsonl", MetricsEnd(200)).wall_time_s == 200.0
        assert tracemalloc.get_traced_memory()[1] < 2**20  # a twentieth of the file
    finally:
        tracemalloc.stop()
    assert sum(1 for _ in read_metrics(tmp_path / "metrics.jsonl")) == 201
