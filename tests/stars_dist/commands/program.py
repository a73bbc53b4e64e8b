"""The program as a user starts it: in a process of its own, with an environment and a terminal that a test chooses."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

PROGRAM = (sys.executable, "-m", "stars_dist")
SILENT_S = 100  # which no command is, on a machine that is busy with other tests either
ROOT = Path(__file__).resolve().parents[3]


def run_program(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with variables beside those of the test."""
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env=_environment(environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class OnTerminal:
    """A command whose output and errors are a terminal of 60 columns."""

    def __init__(self, *arguments: str | Path, **environment: str) -> None:
        self._controller, terminal = pty.openpty()
        variables = _environment({"TERM": "xterm-256color", "COLUMNS": "60", "LINES": "24"} | environment)
        self._process = subprocess.Popen(
            [*PROGRAM, *map(str, arguments)], env=variables, stdout=terminal, stderr=terminal
        )
        os.close(terminal)

    def shown(self, until: str | None = None) -> str:
        """Read what it shows up to a text, or up to its end."""
        text = b""
        with contextlib.suppress(OSError):  # the end of the program is one of the terminal
            while until is None or until.encode() not in text:
                readable, _, _ = select.select([self._controller], [], [], SILENT_S)
                assert readable, f"silent for {SILENT_S} s after {text!r}"
                text += os.read(self._controller, 1 << 16)
        return text.decode()

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        code = self._process.wait(60)
        os.close(self._controller)
        return code


def _environment(variables: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return kept | {"PYTHONPATH": str(ROOT)} | variables
