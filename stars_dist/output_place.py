"""The place of what a command writes, looked at before anything is computed that could then not be written."""

from __future__ import annotations

import tempfile
from pathlib import Path


def check_output_place(what: str, directory: Path, option: str = "--out") -> None:
    """Check that a directory can be written to, or made where it would be; ValueError otherwise. Makes nothing.

    Args:
        what: what is to lie there, as "a report".
        directory: where.
        option: what names another place.
    """
    place = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise ValueError(
            f"{what} needs a directory that can be written to, {place} is none ({error.strerror}); use another {option}"
        ) from None
