"""The tutorial, from its first command to its last, in order and for real, at a small size."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import INDENTED, ROOT

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
LINES = [line.strip() for block in INDENTED.findall(TUTORIAL) for line in block.splitlines()]
SET_UP = (
    "make venv",
    "source .venv/bin/activate",
    "tensorboard --logdir runs/",
)  # tests/stars_dist/test_printed_commands
SMALLER = {
    r"--steps 20000\b": "--steps 600 --eval-episodes 2",
    r"--steps 100000\b": "--steps 1200 --eval-episodes 1 --set replay.warmup_steps_per_task=100",
    r"--steps 30000\b": "--steps 700",
    r"--episodes 50\b": "--episodes 1",
    r"^stars-dist demo$": "stars-dist demo --goals 1 --no-video",
    r"^(stars-dist features .*)$": r"\1 --episodes 1",
    r"^(stars-dist sweep \S+)$": r"\1 --dry-run",  # tests/stars_dist/commands/test_sweep.py runs one
}


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(1500)
def test_the_tutorial_in_order(tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    assert [line for line in LINES if line in SET_UP] == list(SET_UP)
    for line in (line for line in LINES if line not in SET_UP):
        run(line, tmp_path)
    assert (tmp_path / "comparison.html").is_file() and (tmp_path / "features.png").is_file()
    assert len(list((tmp_path / "runs" / "first" / "videos").glob("*.*"))) == 2


def run(line: str, place: Path) -> None:
    """Run a line, smaller; every command must do what it is asked."""
    for pattern, smaller in SMALLER.items():
        line = re.sub(pattern, smaller, line)
    words = shlex.split(line, comments=True)
    assert words[0] == "stars-dist", line
    done = subprocess.run(
        [sys.executable, "-c", "from stars_dist.cli import main; main()", *words[1:]],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
