"""Errors that end the program with one line: what the user gave, and what a run could not mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
    return f"error: {' '.join((_words_of_option(error) or _with_help_page(error)).split())}"


def _with_help_page(error: typer.TyperException) -> str:
    """Add the help page to what typer says of a command line that it does not take."""
    context, message = getattr(error, "ctx", None), error.format_message()
    if context is None:
        return message
    return f"{message.rstrip('.')}; see {_command(context)} --help"


def _words_of_option(error: typer.TyperException) -> str | None:
    """Say rule, value and remedy of an option whose value typer refuses, for which it has the words of its library."""
    if not isinstance(error, typer.BadParameter) or error.param is None or error.__cause__ is None:
        return None
    what = " / ".join(error.param.opts) if error.param.opts[0].startswith("-") else str(error.param.metavar)
    value = getattr(error.__cause__, "errors", lambda: [{}])()[0].get("input")
    rule = error.message.removeprefix("Value error, ").rstrip(".")
    for words in ("Input should be", "is not one of"):
        before, found, wanted = rule.partition(words)
        if found:
            must = wanted.split(", unable")[0] if not before else f" one of{wanted}"
            return f"{what} must be{must}, got {value!r}; see {_command(error.ctx)} --help"
    return None


def _command(context: Any) -> str:
    """Name the command of a context as a user types it."""
    names: list[str] = []
    while context is not None and context.parent is not None:
        names.insert(0, str(context.info_name))
        context = context.parent
    return " ".join(["stars-dist", *names])
