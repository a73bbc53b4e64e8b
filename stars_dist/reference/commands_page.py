"""docs/commands.md: the help of every command, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer.main

from stars_dist.cli import app

WIDTH = 110
INTRODUCTION = """\
What `--help` prints, for every command. Bad input is one line on standard error and exit code 2; a failure is 1, an
interruption 130. `--json` prints JSON and nothing else on standard output. `stars-dist --install-completion`
completes commands, presets and suites in your shell.
"""


def commands_page() -> str:
    """Write the page."""
    lines = ["# Commands", "", INTRODUCTION]
    for path, command in _commands(typer.main.get_command(app), ()):
        name = " ".join(("stars-dist", *path))
        lines += [f"## {name}", "", "```text", _help(command, name), "```", ""]
    return "\n".join(lines)


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _help(command: Any, name: str) -> str:
    context = command.context_class(
        command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH, help_option_names=["--help"]
    )
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
