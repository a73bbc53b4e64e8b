"""The token without which nobody reaches the processes of a Ray cluster: whoever reaches them can run code."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import ray._raylet
from ray._private.authentication import authentication_token_setup

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"  # Ray's own variables


def prepare_token() -> None:
    """Have a token for a new local cluster that its user alone can read; Ray would write one for all to read.

    Where no file can be written, as without a HOME, the cluster's processes inherit the token.
    """
    if os.environ.get(MODE, "token").lower() != "token" or TOKEN in os.environ or TOKEN_PATH in os.environ:
        return
    try:
        _keep_private(Path.home() / ".ray" / "auth_token")
    except (OSError, RuntimeError):  # the latter without HOME and without an entry for the user
        os.environ[TOKEN] = secrets.token_hex(32)


def use_token_if_there() -> None:
    """Send the token, if there is one, as Ray's own "auto" does for a cluster of this machine.

    `ray start` asks for a token as soon as there is one, so whoever has ever run locally has to send it. A cluster
    that asks for none does not mind.
    """
    library: Any = ray._raylet  # defined in C, of which pyright knows nothing
    if MODE not in os.environ and library.AuthenticationTokenLoader.instance().has_token(True):
        authentication_token_setup._enable_token_auth()


def open_cluster_warning() -> str | None:
    """Return what the user of the cluster that was joined should know if it asks for no token."""
    if asks_for_token():
        return None
    return (
        "warning: this Ray cluster asks for no token: whoever reaches its ports can run code on it; start it with "
        "RAY_AUTH_MODE=token (deploy/README.md)"
    )


def asks_for_token() -> bool:
    """Return whether this process sends a token, and so the cluster that it has joined asks for one."""
    library: Any = ray._raylet
    return library.get_authentication_mode() == library.AuthenticationMode.TOKEN


def _keep_private(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
