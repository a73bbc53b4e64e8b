"""The help of every command: groups, and examples that the command line takes as they stand."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from stars_dist.cli import app
from tests.stars_dist.commands.program import run_program

ROOT: Any = typer.main.get_command(app)


def commands(group: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())


def help_of(command: Any, path: tuple[str, ...]) -> str:
    return command.get_help(command.make_context(" ".join(path), ["--json"], resilient_parsing=True))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_shows_examples(path: tuple[str, ...]) -> None:
    page = help_of(COMMANDS[path], path)
    assert f"Examples:\n  stars-dist {' '.join(path)}" in page
    assert "Options:" in page and "--help" in page


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_example_is_taken_by_the_command_line(path: tuple[str, ...]) -> None:
    for line in COMMANDS[path].examples:
        words = shlex.split(line, comments=True)
        assert words[0] == "stars-dist"
        command, rest = ROOT, words[1:]
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        command.make_context(line, rest)  # raises for an unknown flag, a missing argument or a wrong type


def test_the_program_is_named_as_it_is_typed() -> None:
    assert run_program("--help").stdout.lstrip().startswith("Usage: stars-dist [OPTIONS] COMMAND")


def test_launch_groups_its_options() -> None:
    page = help_of(COMMANDS["launch",], ("launch",))
    places = [
        page.index(f"{group}:\n") for group in ("What to train", "Where it runs", "What it writes, and when")
    ]
    assert places == sorted(places)
    assert page.index("--suite") < places[1] < page.index("--actors") < places[2] < page.index("--run-dir")


def test_a_shell_completes_commands_and_presets() -> None:
    environment = os.environ | {"_STARS_DIST_COMPLETE": "complete_bash"}
    for words, expected in (("stars-dist sta", "status"), ("stars-dist launch --preset lap", "laptop")):
        count = len(words.split()) - 1
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys; sys.argv[0] = 'stars-dist'; from stars_dist.cli import main; main()",
            ],
            env=environment | {"COMP_WORDS": words, "COMP_CWORD": str(count)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.split() == [expected], done.stderr
