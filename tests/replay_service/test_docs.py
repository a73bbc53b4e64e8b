"""The examples of docs/replay.md run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "replay.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        pytest.param(0, "128 rows, weights 1.0 to 1.0", id="a shard without Ray"),
        pytest.param(1, "group sizes [128 128]", id="with Ray", marks=pytest.mark.cluster),
    ],
)
def test_example(number: int, printed: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLES[number]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout
