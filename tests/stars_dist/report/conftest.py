"""The command line in this process, as the tests of the commands run it, and finished runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stars_dist.commands.conftest import run_command, stars_dist

__all__ = ["stars_dist"]


@pytest.fixture(scope="package")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of one method and one of another, in one process each."""
    directory = tmp_path_factory.mktemp("runs")
    short = ("launch", "--suite", "toy:2", "--steps", "600", "--eval-episodes", "2", "--serial")
    paths = []
    for presets, seed in ((("stars", "laptop"), 1), (("stars", "laptop"), 2), (("mtsac", "laptop"), 1)):
        paths.append(directory / f"{presets[0]}-{seed}")
        flags = [flag for preset in presets for flag in ("--preset", preset)]
        assert run_command(*short, *flags, "--seed", str(seed), "--run-dir", paths[-1]) == 0
    return paths
