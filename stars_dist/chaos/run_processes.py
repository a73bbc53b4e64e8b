"""The processes of a run as the operating system shows them: found, told apart by their kind, signalled."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

# The classes that a run starts through Ray, which names their processes ray::Class or ray::Class.method
CLASSES = {
    "actor": "RolloutProcess",
    "shard": "Shard",
    "learner": "LearnerProcess",
    "coordinator": "Coordinator",
    "evaluator": "EvaluationProcess",
}


class RunProcesses:
    """Every process that a root has ever started, over any depth, also those whose parents have died."""

    def __init__(self) -> None:
        self._seen: dict[int, psutil.Process] = {}

    def follow(self, root: psutil.Process) -> None:
        """Count a process and all its descendants from now on."""
        self._seen[root.pid] = root

    def look(self) -> None:
        """Find what was started since the last look; a child of a process that has ended since is still found."""
        parents: dict[int, list[psutil.Process]] = {}
        for process in psutil.process_iter(["ppid"]):
            parents.setdefault(process.info["ppid"], []).append(process)  # pyright: ignore[reportAttributeAccessIssue] # of process_iter
        self._seen = {pid: process for pid, process in self._seen.items() if is_alive(process)}
        waiting = list(self._seen)
        while waiting:
            for child in parents.get(waiting.pop(), []):
                if child.pid not in self._seen:
                    self._seen[child.pid] = child
                    waiting.append(child.pid)

    @property
    def alive(self) -> list[psutil.Process]:
        """Those that have not ended."""
        return [process for process in self._seen.values() if is_alive(process)]

    def of_kind(self, part: str) -> list[psutil.Process]:
        """List the processes of actors, shards, learner, coordinator or evaluators, in order of their numbers."""
        pattern = re.compile(rf"ray::{CLASSES[part]}\b")
        return sorted(
            (process for process in self.alive if pattern.match(title(process))),
            key=lambda process: process.pid,
        )


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs, or is stopped; one that has ended and waits for its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def title(process: psutil.Process) -> str:
    """Return the command line of a process; empty if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def shard_index(process: psutil.Process) -> int | None:
    """Find which shard a process is, by the lock that it holds; None while it starts."""
    try:
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            if match := re.search(r"/shard-(\d+)/lock$", str(link.readlink())):
                return int(match[1])
    except OSError:
        pass
    return None


def thaw(processes: Iterable[psutil.Process]) -> None:
    """Let stopped processes go on, as far as they still exist."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
