"""A disk that fills up under a run: it says so once for each part, goes on, and saves all of it when there is room."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stars_dist.monitor.metrics import read_metrics
from tests.small_disk import SmallDisk

ROOT = Path(__file__).parents[3]
MAIN = "from stars_dist.cli import main; main()"
SETS = ("replay.capacity_per_task=1000", "learner.metrics_every_updates=10")
RUN = ("--suite", "toy:2", "--preset", "small", "--serial", "--steps", "1600", "--eval-episodes", "1")


class Launched:
    """A run in a process of its own, with its output in a file of another disk."""

    def __init__(self, output: Path, arguments: list[str]) -> None:
        self._output = output
        with output.open("w") as file:
            command = [sys.executable, "-c", MAIN, *arguments]
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 200
        while text not in self.output:
            assert self.process.poll() is None, f"ended before {text!r}: {self.output}"
            assert time.monotonic() < deadline, f"no {text!r} in {self.output}"
            time.sleep(0.05)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launched]]:
    runs: list[Launched] = []

    def start(*arguments: str) -> Launched:
        runs.append(Launched(tmp_path / f"output-{len(runs)}", list(arguments)))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait(10)


def arguments_of(run_dir: Path) -> list[str]:
    sets = [part for text in SETS for part in ("--set", text)]
    return ["launch", *RUN, *sets, "--checkpoint-every", "200", "--run-dir", str(run_dir)]


def test_a_run_goes_on_with_a_full_disk_and_saves_all_when_there_is_room(
    launch: Callable[..., Launched], small_disk: Callable[..., SmallDisk], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = small_disk("60m")
    run = launch(*arguments_of(disk.path / "run"))
    run.wait_for("first transitions of all 2 tasks")
    disk.fill()
    run.wait_for("warning: metrics pause")
    run.wait_for("warning: checkpoints pause")
    run.wait_for("evaluation at")  # it goes on
    disk.free()
    assert run.process.wait(250) == 0, run.output
    for part in ("metrics", "checkpoints", "TensorBoard's events"):
        assert run.output.count(f"warning: {part} pause, the disk at {disk.path}") == 1, run.output
        assert f"{part} go on, the disk at {disk.path}" in run.output
    assert "Traceback" not in run.output
    assert json.loads((disk.path / "run" / "evaluation.json").read_text())["env_steps"] == 1600
    steps = [line["learner_steps"] for line in read_metrics(disk.path / "run" / "metrics.jsonl")]
    assert steps == sorted(steps) and max(steps) > 0


def test_a_run_that_does_not_fit_is_refused_before_it_begins(
    launch: Callable[..., Launched], small_disk: Callable[..., SmallDisk]
) -> None:
    disk = small_disk("300k")
    run = launch(*arguments_of(disk.path / "run"))
    assert run.process.wait(100) == 2
    assert "error: replay files must fit on the disk" in run.output and "Traceback" not in run.output
    assert list(disk.path.iterdir()) == []


@pytest.mark.slow
def test_resume_on_a_full_disk_is_one_line(
    launch: Callable[..., Launched], small_disk: Callable[..., SmallDisk]
) -> None:
    disk = small_disk("60m")
    first = launch(*arguments_of(disk.path / "run"))
    first.wait_for("evaluation at 1,200 steps")
    first.process.kill()
    first.process.wait(10)
    disk.fill()
    second = launch("resume", str(disk.path / "run"))
    assert second.process.wait(100) == 1, second.output
    assert f"a run needs room, the disk at {disk.path}" in second.output and "Traceback" not in second.output
    disk.free()
    assert launch("resume", str(disk.path / "run")).process.wait(200) == 0
