"""Bad input: a ValueError while a command reads its input becomes one line and exit code 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


class BadInput(typer.TyperException):
    """What the user gave cannot be used; the message holds rule, value and remedy."""

    exit_code = 2


@contextmanager
def reading_input() -> Iterator[None]:
    """Wraps the part of a command that checks what the user gave, before anything is written or started."""
    try:
        yield
    except ValueError as error:
        raise BadInput(str(error)) from error
