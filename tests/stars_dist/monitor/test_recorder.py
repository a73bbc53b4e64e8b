"""What a run records, read as its readers do, and a disk that fills up meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stars_dist.monitor.append_file import AppendFile
from stars_dist.monitor.metrics import read_metrics
from stars_dist.monitor.recorder import Recorder
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.recorded import MetricsEnd
from tests.small_disk import SmallDisk


def scalars(directory: Path, name: str) -> list[tuple[int, float]]:
    """A curve as TensorBoard shows it."""
    accumulator = EventAccumulator(str(directory))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(name)]


def test_values_are_in_the_metrics_and_in_tensorboard(tmp_path: Path) -> None:
    recorder = Recorder(RunDirectory(tmp_path), print)
    for step in (10, 20):
        recorder.write(step, step // 2, {"a/b": step / 4, "a/none": float("nan")})
    recorder.close()
    assert scalars(tmp_path, "a/b") == [(10, 2.5), (20, 5.0)]
    assert [line["a/b"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [2.5, 5.0]
    assert "a/none" not in next(read_metrics(tmp_path / "metrics.jsonl"))


def test_a_resumed_run_records_anew_what_lies_beyond_its_start(tmp_path: Path) -> None:
    recorder = Recorder(RunDirectory(tmp_path), print)
    for step in (10, 20, 30):
        recorder.write(step, step, {"a": 1.0})
    recorder.close()
    recorder = Recorder(RunDirectory(tmp_path), print, MetricsEnd(20))
    recorder.write(25, 25, {"a": 2.0})
    recorder.close()
    assert scalars(tmp_path, "a") == [(10, 1.0), (20, 1.0), (25, 2.0)]
    assert [line["env_steps"] for line in read_metrics(tmp_path / "metrics.jsonl")] == [10, 20, 25]


def test_a_full_disk_pauses_the_records_and_costs_none(small_disk: Callable[..., SmallDisk]) -> None:
    disk, lines = small_disk("200k"), list[str]()
    recorder = Recorder(RunDirectory(disk.path), lines.append)
    values = {f"group/name-{index}": float(index) for index in range(40)}
    for step in range(1, 301):
        if step == 20:
            disk.fill()
        if step == 200:
            disk.free()
            disk.resize("10m")
        recorder.write(step, step, values)
    recorder.close()
    steps = list(range(1, 301))
    assert [line["env_steps"] for line in read_metrics(disk.path / "metrics.jsonl")] == steps
    assert [step for step, _ in scalars(disk.path, "group/name-7")] == steps
    assert [line.split(",")[0] for line in lines] == [
        "warning: metrics pause",
        "warning: TensorBoard's events pause",
        "metrics go on",
        "TensorBoard's events go on",
    ]
    assert str(disk.path) in lines[0]


def test_what_still_waits_at_the_end_is_told(small_disk: Callable[..., SmallDisk]) -> None:
    disk, lines = small_disk("64k"), list[str]()
    recorder = Recorder(RunDirectory(disk.path), lines.append)
    disk.fill()
    for step in range(200):
        recorder.write(step, step, {"a": 1.0})
    recorder.close()
    assert any(line.startswith("warning: NOT saved: ") and "records of the metrics" in line for line in lines)


def test_what_waits_is_bounded(small_disk: Callable[..., SmallDisk], monkeypatch: pytest.MonkeyPatch) -> None:
    from replay_service.full_disk import DiskPause

    monkeypatch.setattr("stars_dist.monitor.append_file.MOST_WAITING_BYTES", 1000)
    disk = small_disk("64k")
    file = AppendFile(disk.path / "file", DiskPause("records", disk.path, print))
    disk.fill()
    (disk.path / "filler").open("ab").close()
    for number in range(1000):
        file.append(b"%09d\n" % number)
    disk.free()
    file.close()
    written = (disk.path / "file").read_bytes().split()
    assert len(written) < 1000 and [int(number) for number in written] == list(range(len(written)))
