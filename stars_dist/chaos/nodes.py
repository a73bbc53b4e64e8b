"""Ray nodes for a chaos run: the driver's, and others, each with run directories of its own, to be lost."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

ENVIRONMENT = {"PYTHONUNBUFFERED": "1"}
TRIES = 3  # of a node that does not come up within Ray's own 30 s, as on a busy machine
STARTED = "Ray runtime started"
RAY = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--block"]
HOST = "127.0.0.1"


class Nodes:
    """`count` nodes beside the driver's; without any the run starts a Ray of its own.

    Each of them has an empty file system where the run directory lies, where root may mount: what it finds there on
    the driver's node must reach it in another way.
    """

    def __init__(self, count: int, hidden: Path, temporary: Path, cpus: int = 2) -> None:
        """`hidden` is the directory that the nodes do not share; Ray's sockets go to `temporary`; `cpus` of each."""
        self._hidden, self._temporary = hidden, temporary
        self._cpus = f"--num-cpus={cpus}"
        self._port = _free_port()
        self._running: dict[int, psutil.Popen | None] = dict.fromkeys(range(1, count + 1))
        self._head: psutil.Popen | None = None
        # What lets the nodes and the driver into the same cluster, and nobody else
        self.environment = (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)} if count else {}
        )

    @property
    def address(self) -> str:
        """Where the driver finds Ray."""
        return f"{HOST}:{self._port}" if self._running else "local"

    def start_all(self) -> list[psutil.Process]:
        """Start the driver's node and the others; return their first processes.

        Raises:
            RuntimeError: one does not start.
        """
        if not self._running:
            return []
        options = [f"--node-ip-address={HOST}", self._cpus, "--include-dashboard=false"]
        head = [*RAY, "--head", f"--port={self._port}", f"--temp-dir={self._temporary}", *options]
        self._head = self._start_patiently(lambda: self._begin(head, "head"), "head")
        others = [
            self._start_patiently(lambda number=number: self.start(number), f"node-{number}")
            for number in self._running
        ]
        return [self._head, *others]

    def start(self, number: int) -> psutil.Popen:
        """Start a node, the first time or after it was killed."""
        command = [*RAY, f"--address={self.address}", f"--node-ip-address={HOST}", self._cpus]
        if _may_mount():
            inside = f'mount -t tmpfs -o size=256m tmpfs "{self._hidden}" && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", inside, "node", *command]
        node = self._begin(command, f"node-{number}")
        self._running[number] = node
        return node

    def _start_patiently(self, start: Callable[[], psutil.Popen], name: str) -> psutil.Popen:
        for _ in range(TRIES):
            node = start()
            while node.poll() is None:
                if STARTED in self._log(name).read_text(errors="replace"):
                    return node
                time.sleep(0.2)
        last = " | ".join(self._log(name).read_text(errors="replace").strip().splitlines()[-3:])
        raise RuntimeError(f"Ray's {name} must start, it ended {TRIES} times, the last time with: {last}")

    def _begin(self, command: list[str], name: str) -> psutil.Popen:
        with self._log(name).open("w") as log:
            return psutil.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **ENVIRONMENT, **self.environment},
            )

    def _log(self, name: str) -> Path:
        return self._temporary.with_name(f"{name}.log")

    def choose(self, pick: float) -> int | None:
        """Choose one of the nodes that run; None where none does."""
        running = [number for number, node in self._running.items() if node is not None]
        return running[int(pick * len(running))] if running else None

    def kill(self, number: int) -> None:
        """End a node with all its processes at once, as a machine that is lost."""
        node = self._running[number]
        assert node is not None, "it runs"
        _kill_tree(node)
        self._running[number] = None

    def stop_all(self) -> None:
        """End every node."""
        for number, node in self._running.items():
            if node is not None:
                self.kill(number)
        if self._head is not None:
            _kill_tree(self._head)
        shutil.rmtree(self._temporary, ignore_errors=True)


def _kill_tree(root: psutil.Popen) -> None:
    """Kill a process and its descendants; stopped first, so that none starts another meanwhile."""
    tree = [root, *root.children(recursive=True)] if root.is_running() else []
    for signal_all in (psutil.Process.suspend, psutil.Process.kill):
        for process in tree:
            with suppress(psutil.Error):
                signal_all(process)
    root.wait()


def _may_mount() -> bool:
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]
