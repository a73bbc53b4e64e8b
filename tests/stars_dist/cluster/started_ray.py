"""A Ray cluster of this machine that `ray start` has begun, as a user's own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
HEAD = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--head", "--block"]
TOKEN = "0123456789abcdef" * 2


TRIES = 3  # of a head that does not come up within Ray's own 30 s


@pytest.fixture
def head(tmp_path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A cluster that `ray start` has begun for a user who has a token, and the environment of that user."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(TOKEN)
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory(prefix="ray-") as temporary:
            user = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
            user |= {"HOME": str(tmp_path), "RAY_TMPDIR": temporary, "PYTHONPATH": str(ROOT)}
            address = f"127.0.0.1:{free_port()}"
            node = start(address, user)
            try:
                if any("Ray runtime started" in line for line in node.stdout):
                    yield address, user
                    return
            finally:
                processes = [*node.children(recursive=True), node]
                for process in processes:
                    process.kill()
                psutil.wait_procs(processes)
    pytest.fail(f"no head in {TRIES} tries")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(address: str, user: dict[str, str]) -> psutil.Popen:
    options = [f"--port={address.split(':')[1]}", "--node-ip-address=127.0.0.1", "--num-cpus=1"]
    command = [*HEAD, *options, "--include-dashboard=false"]  # below RAY_TMPDIR, where `auto` looks for it
    return psutil.Popen(command, env=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
