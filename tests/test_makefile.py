"""`make` says what it lacks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_a_python_that_is_not_there_is_named_with_what_to_type(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    command = ["make", "--no-print-directory", "demo", "PYTHON=python9.9"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and not (tmp_path / ".venv").exists()
    assert done.stdout.splitlines() == ["python9.9 is not there: make demo PYTHON=python3.12, or install it"]
