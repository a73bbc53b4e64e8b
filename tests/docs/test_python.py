"""The Python examples of the pages, and the notebook-style one, run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, python_blocks

EXAMPLES = {
    "README.md": "\n".join(python_blocks("README.md")),
    "docs/python.md": "\n".join(python_blocks("docs/python.md")),
    "docs/examples/first_run.py": (ROOT / "docs" / "examples" / "first_run.py")
    .read_text()
    .replace('"steps": 6000', '"steps": 600, "evaluation.final_episodes_per_task": 2'),
}
PRINTED = {
    "README.md": "dict_keys(",
    "docs/python.md": "steps, success: ",
    "docs/examples/first_run.py": "success: ",
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLES[name]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PRINTED[name] in done.stdout
    assert (tmp_path / "returns.png").is_file() == name.endswith(".py")
