"""The actors of distributed runs on a Ray cluster of this machine: any number of them, lost ones and hung ones."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.stars_dist.test_training import metrics

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()"]
QUICK = ["--preset", "laptop", "--preset", "{preset}", "--address", "local"]
PRESET = """
replay: {warmup_steps_per_task: 200}
sampling: {batch_size_per_task: 4}
network: {actor_hidden: [16], critic_hidden: [16], unique: {enabled: false}, shared: {num_slices: 2}}
actors: {chunk_steps: 20, weights_poll_s: 0.2, reassign_after_s: 3.0, hang_timeout_s: 3.0}
"""


class Run:
    """A run in a process of its own; what it prints is in `output`."""

    def __init__(self, directory: Path, *arguments: str, patch: str = "") -> None:
        """`patch` is Python that is executed before the command."""
        self.path = directory / "run"
        self._log = directory / "log"
        preset = directory / "quick.yaml"
        preset.write_text(PRESET)
        options = [part.format(preset=preset) for part in QUICK]
        program = [*COMMAND[:-1], f"{patch}\n{COMMAND[-1]}"]
        command = [*program, "launch", *options, "--run-dir", str(self.path), *arguments]
        with self._log.open("w") as stream:
            self.process = psutil.Popen(command, stdout=stream, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, condition: Callable[[], object], timeout_s: float = 120) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.2)

    def inserted(self) -> np.ndarray:
        """Environment steps of each task, by the newest line of the metrics."""
        lines = metrics(self.path) if (self.path / "metrics.jsonl").exists() else []
        for line in reversed(lines):
            found = [value for name, value in line.items() if name.startswith("replay/inserted/")]
            if found:
                return np.array(found)
        return np.zeros(1)

    def processes(self, kind: str) -> list[psutil.Process]:
        """The run's processes of a class, such as Shard."""
        return [p for p in self.process.children(recursive=True) if _title(p).startswith(f"ray::{kind}")]

    def end(self) -> None:
        children = self.process.children(recursive=True) if self.process.is_running() else []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs([self.process, *children], timeout=60)
        for process in alive:
            process.kill()


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(*arguments: str, patch: str = "") -> Run:
        runs.append(Run(tmp_path, *arguments, patch=patch))
        return runs[-1]

    yield begin
    for run in runs:
        run.end()


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("suite", "num_actors"),
    [
        *(pytest.param("toy:10", n, marks=pytest.mark.slow) for n in ("1", "3", "12", "50")),
        *(
            pytest.param("mt10", n, marks=(pytest.mark.slow, pytest.mark.timeout(900)))
            for n in ("1", "2", "3", "50", "120")
        ),
    ],
)
def test_any_number_of_actors_is_fair_between_ten_tasks(
    start: Callable[..., Run], suite: str, num_actors: str
) -> None:
    """After 1500 steps per task none is further than 10 % from the mean: the limiter holds each to the others."""
    # Sixty actors on a core may be silent for longer than QUICK allows: the deadlines of a real run.
    deadlines = ["--set", "actors.hang_timeout_s=60", "--set", "actors.reassign_after_s=120"]
    run = start("--suite", suite, "--actors", num_actors, "--steps", "1000000", *deadlines)
    run.wait_for(lambda: run.inserted().mean() > 1500, 600)
    steps = run.inserted()
    assert len(steps) == 10
    assert np.abs(steps / steps.mean() - 1).max() < 0.1, steps


@pytest.mark.cluster
@pytest.mark.slow
def test_an_actor_that_hangs_in_a_step_is_started_again(
    start: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANG_MARKER", str(tmp_path / "has-hung"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    suite = "gym:hanging_environment:HangsOnce-v0,Pendulum-v1"
    run = start("--suite", suite, "--actors", "2", "--steps", "1000000")
    run.wait_for(lambda: "hangs (no answer for" in run.output)
    assert re.search(
        r"actor 0 .* hangs .* the step of an environment of hanging_environment:HangsOnce-v0", run.output
    )
    before = run.inserted()
    run.wait_for(lambda: (run.inserted() > before + 200).all())
    assert metrics(run.path)[-1]["perf/restarts/actor"] == 1
    assert "HangsOnce" in (run.path / "failures.log").read_text()


@pytest.fixture
def two_nodes() -> Iterator[tuple[Any, Any]]:
    """A cluster of two nodes with one core each, and the node that may be lost."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield cluster, cluster.add_node(num_cpus=1)
    cluster.shutdown()


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
def test_the_task_of_a_lost_actor_goes_on_in_another_until_it_is_back(
    two_nodes: tuple[Any, Any], start: Callable[..., Run]
) -> None:
    """A node is lost, and the other has no room for its actor: what a preemption leaves behind."""
    cluster, node = two_nodes
    cluster.wait_for_nodes()
    suite = ["--suite", "toy:2", "--actors", "2", "--steps", "1000000", "--checkpoint-every", "400"]
    run = start(*suite, "--address", cluster.address)
    run.wait_for(lambda: run.inserted().min() > 400)
    cluster.remove_node(node)
    run.wait_for(lambda: re.search(r"actor \d now serves toy-\d, toy-\d", run.output))
    before = run.inserted()
    run.wait_for(lambda: (run.inserted() > before + 200).all())
    cluster.add_node(num_cpus=1)
    run.wait_for(lambda: re.search(r"actor \d now serves toy-\d\n", run.output))
    (other, both), *_, (again, own) = re.findall(r"actor (\d) now serves (.*)", run.output)
    assert again == other and own in both.split(", "), "the one that took the task on has given it back"
