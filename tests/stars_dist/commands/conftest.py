"""The command line in this process, and a finished run of it: a process per command would take seconds each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from stars_dist.cli import main

SHORT = ("--suite", "toy:2", "--preset", "stars", "--preset", "small", "--serial", "--steps", "600")


class Done(NamedTuple):
    """What a command printed and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Done]


def run_command(*arguments: str | Path) -> int:
    """Run a command by the program's own entry; return its exit code."""
    before, sys.argv = sys.argv, ["stars-dist", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


@pytest.fixture
def stars_dist(capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str | Path) -> Done:
        capfd.readouterr()
        code = run_command(*arguments)
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two toy tasks; tests copy it before they change it."""
    run = tmp_path_factory.mktemp("finished") / "run"
    assert run_command("launch", *SHORT, "--eval-episodes", "2", "--run-dir", run) == 0
    return run
