"""The Ray cluster that a run's configuration names: that of a foreign run may run foreign code here."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

_OF_THIS_MACHINE = ("auto", "local")  # neither names a cluster: a user's own, or one that the run starts
_VARIABLE = "RAY_ADDRESS"


def check_address(address: str, config_file: Path) -> None:
    """Refuse to join a cluster that only a configuration names, which was read from a file.

    Raises:
        ValueError: says how it is asked for.
    """
    if address not in (*_OF_THIS_MACHINE, os.environ.get(_VARIABLE)):
        raise ValueError(
            f"a run may go on in a named Ray cluster only if it is asked to, {config_file} names {address}, whose "
            f"processes could run code here; if it is yours, add{address_option(address)}, else --address auto"
        )


def address_option(address: str) -> str:
    """Return what a command that goes on with a run must be given; nothing where no cluster is named."""
    return "" if address in _OF_THIS_MACHINE else f" --address {shlex.quote(address)}"
