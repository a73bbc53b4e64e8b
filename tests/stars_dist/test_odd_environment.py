"""Odd environments: a user whom the system does not know, no home, ASCII alone, long paths, files of the user's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# The right to read files of others stays, for Python's own may lie where this user cannot look.
USER = 54321
UNKNOWN_USER = (
    f"--reuid={USER} --regid={USER} --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override"
)
COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()"]
RUN = ["--suite", "toy:2", "--preset", "small", "--serial", "--steps", "400", "--eval-episodes", "1"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory of that user's; pytest's own are closed to others."""
    with TemporaryDirectory() as name:
        os.chown(name, USER, USER)
        yield Path(name)


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="root alone may become another user"
)
def test_a_run_needs_neither_home_nor_name_nor_utf_8(place: Path) -> None:
    run = place / ("x" * 200) / ("y" * 100)
    assert len(str(run)) > 300
    (place / "actors").mkdir()
    for file in ("learner.py", "actors/__init__.py"):
        (place / file).write_text("raise SystemExit('not this one')")
    output = [as_nobody(place, "launch", *RUN, "--run-dir", str(run))]
    output += [as_nobody(place, "resume", str(run), "--steps", "600")]
    output += [as_nobody(place, "status", str(run))]
    assert (run / "evaluation.json").is_file() and (run / "curves.png").is_file()
    assert "sha256 of the weights" in output[1] and "600 of 600 steps" in output[2]


def as_nobody(place: Path, *arguments: str) -> str:
    """Run the program in a directory; return what it printed, which must be ASCII and without a traceback."""
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment |= {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}  # as of an installed program
    command = ["setpriv", *UNKNOWN_USER.split(), *COMMAND, *arguments]
    done = subprocess.run(command, env=environment, cwd=place, capture_output=True, timeout=200)
    errors = done.stderr.decode()
    assert done.returncode == 0 and errors == "", "nothing but output, no word of a library"
    return done.stdout.decode("ascii")
