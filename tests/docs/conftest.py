"""A directory like a reader's, with the runs, files and modules that the commands of the pages name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.stars_dist.commands.conftest import Command, run_command, stars_dist

__all__ = ["Command", "stars_dist"]  # the fixture
MY_PACKAGE = """\
from gymnasium.envs.registration import register
register("MyEnvironment-v0", entry_point="gymnasium.envs.classic_control.pendulum:PendulumEnv", max_episode_steps=9)
"""
MADE = (("stars", "1"), ("mtsac", "1"))
RUN = (
    "launch",
    "--suite",
    "toy:2",
    "--serial",
    "--steps",
    "600",
    "--eval-episodes",
    "2",
)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the directory once: a run of each of two methods, under the names that the pages use."""
    place = tmp_path_factory.mktemp("reader")
    for method, seed in MADE:
        run = place / "runs" / method / f"seed-{seed}"
        assert (
            run_command(*RUN, "--preset", method, "--preset", "small", "--seed", seed, "--run-dir", run) == 0
        )
    for name in ("first", "toy", "a"):
        shutil.copytree(place / "runs" / "stars" / "seed-1", place / "runs" / name)
    shutil.copytree(place / "runs" / "mtsac" / "seed-1", place / "runs" / "b")
    (place / "my_package.py").write_text(MY_PACKAGE)
    (place / "results").mkdir()
    for name in ("docs", "deploy", "pyproject.toml", "constraints.txt"):
        (place / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "docs" / "examples" / "mine.yaml", place)
    return place


@pytest.fixture
def reader(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in a copy of the directory."""
    place = tmp_path / "reader"
    shutil.copytree(made, place, symlinks=True)
    monkeypatch.chdir(place)
    monkeypatch.syspath_prepend(str(place))
    yield place
