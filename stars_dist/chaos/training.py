"""The training under test: a child process that is launched, killed, resumed and interrupted, and what it prints."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

COMMAND = (sys.executable, "-c", "from stars_dist.cli import main; main()")
_PROGRESS = re.compile(r"^\[ *\d+\.\d s\]|^\s*$")  # lines that repeat what is going on


class Training:
    """One run over all of its drivers, with the options of `launch` and of `resume`."""

    def __init__(
        self,
        run_dir: Path,
        log: Path,
        options: Sequence[str],
        environment: Mapping[str, str],
        resume_options: Sequence[str] = (),
    ) -> None:
        self.run_dir = run_dir
        self._log, self._options, self._environment = log, options, environment
        self._resume_options = resume_options
        self._read_to = 0
        self._driver: psutil.Popen | None = None

    @property
    def driver(self) -> psutil.Popen:
        """The newest driver."""
        assert self._driver is not None, "it is launched first"
        return self._driver

    @property
    def exit_code(self) -> int | None:
        """How the driver ended; None while it runs."""
        return self.driver.poll()

    def launch(self) -> psutil.Popen:
        """Start the run."""
        return self._start("launch", *self._options, "--run-dir", str(self.run_dir))

    def resume(self) -> psutil.Popen:
        """Go on with it."""
        return self._start("resume", str(self.run_dir), *self._resume_options)

    def kill(self) -> None:
        """End the driver at once, without a word to it."""
        self.driver.kill()
        self.driver.wait()

    def interrupt(self) -> None:
        """Have the driver save and end."""
        self.driver.send_signal(signal.SIGINT)

    def new_lines(self) -> list[str]:
        """Return what was printed since the last call, without the lines that only tell the progress."""
        with self._log.open("rb") as file:
            file.seek(self._read_to)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read_to += len(whole)
        return [line for line in whole.decode(errors="replace").splitlines() if not _PROGRESS.match(line)]

    def last_words(self) -> str:
        """Return the end of what was printed."""
        return " | ".join(self._log.read_text(errors="replace").strip().splitlines()[-3:])

    def _start(self, *arguments: str) -> psutil.Popen:
        # A group of its own: Ctrl-C in the terminal is for this program, which then ends the run.
        with self._log.open("a") as stream:
            self._driver = psutil.Popen(
                [*COMMAND, *arguments],
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._environment},
            )
        return self._driver
