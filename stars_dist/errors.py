"""Errors that end the program with one line: what the user gave, and what a run could not mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


class UserError(typer.TyperException):
    """What the user gave cannot be used; the message holds rule, value and remedy. Exit code 2."""

    exit_code = 2


class RunFailedError(RuntimeError):
    """The run cannot go on; the message holds who failed, why and where the log is. Exit code 1."""


@contextmanager
def checking_input() -> Iterator[None]:
    """Turn a ValueError into a UserError while a command checks what it was given, before anything is written."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from error


def one_line(error: typer.TyperException) -> str:
    """Format an error for standard error."""
    return f"error: {' '.join(error.format_message().split())}"
