"""Every command that a run prints for its user does what it says, typed into a shell as it stands there."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from stars_dist.monitor.metric_descriptions import DESCRIPTIONS, describe

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()"]
LAUNCH = [
    "launch",
    "--suite",
    "toy:2",
    "--preset",
    "small",
    "--serial",
    "--steps",
    "1000",
    "--eval-episodes",
    "2",
]
# The commands themselves are on the path of an environment that is active.
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
CLOCKS = {"env_steps", "learner_steps", "wall_time_s"}


class FinishedRun:
    """A run whose directory has a space in its name, and what it printed."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "my runs" / "first run"
        done = subprocess.run(
            [*COMMAND, *LAUNCH, "--run-dir", str(self.path)], capture_output=True, text=True, timeout=280
        )
        assert done.returncode == 0, done.stderr
        self.output = done.stdout

    def printed(self, label: str) -> str:
        """Find the command behind a label."""
        found = re.search(rf"^{label}: +(.*)$", self.output, re.M)
        assert found, self.output
        return found[1]

    def metrics(self) -> list[dict[str, float]]:
        return [json.loads(line) for line in (self.path / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return FinishedRun(tmp_path_factory.mktemp("printed"))


class TensorBoard:
    """A server that the printed command has started, asked through its HTTP API."""

    def __init__(self, command: str) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self._root = f"http://localhost:{port}/data"
        self.process = subprocess.Popen(
            f"exec {command} --port {port}", shell=True, env=ENVIRONMENT, stderr=subprocess.DEVNULL
        )

    def get(self, path: str) -> Any:
        with urlopen(f"{self._root}/{path}", timeout=30) as answer:
            content = answer.read()
        return json.loads(content) if content[:1] in b"[{" else content

    def wait_for(self, path: str, key: str) -> Any:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if key in (found := self.get(path)):
                    return found
            except OSError:
                assert self.process.poll() is None, "TensorBoard has ended"
            time.sleep(0.5)
        raise AssertionError(f"TensorBoard shows no {key}")


@pytest.fixture(scope="module")
def board(run: FinishedRun) -> Iterator[TensorBoard]:
    server = TensorBoard(run.printed("curves"))
    try:
        server.wait_for("plugin/images/tags", "first run")
        yield server
    finally:
        server.process.terminate()
        server.process.wait(30)


def test_tensorboard_shows_one_run_and_the_values_that_it_recorded(
    run: FinishedRun, board: TensorBoard
) -> None:
    tags = board.wait_for("plugin/scalars/tags", "first run")
    assert list(tags) == ["first run"]
    recorded = {name for line in run.metrics() for name in line} - CLOCKS
    assert set(tags["first run"]) == recorded and "overview/eval_success" in recorded
    for tag in ("eval/mean_return", "train/critic_loss", "sampling/quota/toy-0"):
        shown = board.get(f"plugin/scalars/scalars?run=first%20run&tag={quote(tag)}")
        written = [(line["env_steps"], line[tag]) for line in run.metrics() if tag in line]
        assert [(step, value) for _, step, value in shown] == [
            (step, pytest.approx(value, rel=1e-6)) for step, value in written
        ]


def test_every_tag_has_its_description(run: FinishedRun, board: TensorBoard) -> None:
    for plugin in ("scalars", "images", "histograms"):
        tags = board.wait_for(f"plugin/{plugin}/tags", "first run")["first run"]
        assert {tag for tag, shown in tags.items() if not shown["description"]} == set()
    assert describe("eval/success/toy-0") == str(DESCRIPTIONS["eval/success/"])


def test_the_board_has_layout_pictures_texts_and_features(run: FinishedRun, board: TensorBoard) -> None:
    layout = board.get("plugin/custom_scalars/layout")
    assert [category["title"] for category in layout["category"]][:2] == [
        "overview: success",
        "overview: quotas",
    ]
    images = board.get("plugin/images/tags")["first run"]
    assert set(images) == {"overview/success_of_tasks", "overview/quotas_of_tasks", "overview/features"}
    histograms = board.get("plugin/histograms/tags")["first run"]
    assert set(histograms) == {"overview/temperatures", "overview/priorities"}
    (text,) = board.get("plugin/text/text?run=first%20run&tag=run/command/text_summary")
    assert "--suite toy:2" in text["text"]
    (config,) = board.get("plugin/text/text?run=first%20run&tag=run/configuration/text_summary")
    assert "samples_per_insert" in config["text"]
    assert "first run" in board.get("plugin/projector/runs")
    info = board.get("plugin/projector/info?run=first%20run")
    assert [entry["tensorName"] for entry in info["embeddings"]] == ["unique features", "shared features"]
    names = board.get("plugin/projector/metadata?run=first%20run&name=unique%20features").decode().split()
    assert set(names) == {"toy-0", "toy-1"}


@pytest.mark.parametrize("label", ["evaluate", "go on"])
def test_the_other_printed_commands_run(run: FinishedRun, board: TensorBoard, label: str) -> None:
    assert run.printed(label).startswith("stars-dist ")
    done = subprocess.run(
        run.printed(label), shell=True, capture_output=True, text=True, timeout=280, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    assert "toy-1" in done.stdout
