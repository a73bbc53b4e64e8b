"""A run that a benchmark launches in a process of its own, and ends as Ctrl-C does."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

CLI = (sys.executable, "-c", "from stars_dist.cli import main; main()")
STOP_DEADLINE_S = 180.0


class LaunchedRun(NamedTuple):
    """A run that goes on: its process, its directory, and the file of what it prints."""

    process: psutil.Popen
    directory: Path
    log: Path

    @property
    def last_words(self) -> str:
        """The last lines of what it printed, in one."""
        return " | ".join(self.log.read_text().strip().splitlines()[-3:])

    def end(self) -> None:
        """End it as Ctrl-C does, and by force what is left after a while; nothing where it has ended."""
        run = self.process
        processes = [run, *run.children(recursive=True)] if run.is_running() else []
        if run.poll() is None:
            run.send_signal(signal.SIGINT)
        for process in psutil.wait_procs(processes, timeout=STOP_DEADLINE_S)[1]:
            process.kill()


@contextmanager
def launched(arguments: Sequence[str]) -> Iterator[LaunchedRun]:
    """Launch a run with `arguments` in a temporary directory; it ends with the context, and the directory with it."""
    with tempfile.TemporaryDirectory(prefix="stars-dist-bench-") as temporary:
        directory, log = Path(temporary) / "run", Path(temporary) / "log"
        command = [*CLI, "launch", *arguments, "--run-dir", str(directory)]
        with log.open("w") as stream:
            process = psutil.Popen(command, stdout=stream, stderr=subprocess.STDOUT)
        run = LaunchedRun(process, directory, log)
        try:
            yield run
        finally:
            run.end()
