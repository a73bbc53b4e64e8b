"""`stars-dist chaos`: what is refused, and a short run of it with real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()", "chaos"]


def chaos(*arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=timeout_s)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--minutes", "0"], "--minutes must be a number above 0, got 0.0"),
        (["--minutes", "nan"], "--minutes must be a number above 0, got nan"),
        (["--minutes", "soon"], "--minutes"),
        (["--seed", "-1"], "--seed must be 0 to 2^32 - 1, got -1"),
        (["--nodes", "-1"], "--nodes must be 0 to 16, got -1"),
        (["--suite", "mt11"], "mt11"),
        (["--set", "replay.capacity=3"], "capacity"),
        (["--run-dir", "."], "--run-dir must name a directory that is not there yet"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments: list[str], words: str) -> None:
    done = chaos(*arguments)
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.startswith("error: ") and words in done.stderr
    assert done.stderr.count("\n") == 1


def test_help_has_an_example() -> None:
    done = chaos("--help")
    assert done.returncode == 0
    assert "stars-dist chaos --suite mt10 --minutes 5 --seed 1" in done.stdout


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_minutes_of_chaos_lose_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    done = chaos(
        *("--suite", "toy:4", "--minutes", "2", "--seed", "1", "--run-dir", str(kept), "--json"),
        timeout_s=1400,
    )
    result = json.loads(done.stdout)
    assert list(result) == [
        "faults",
        "survived",
        "lost_acknowledged",
        "duplicates",
        "orphan_processes",
        "recovery_s",
        "update_ratio_error",
        "failures",
    ]
    assert (result["failures"], done.returncode) == ([], 0), done.stderr
    assert result["faults"] == result["survived"] >= 4
    assert result["lost_acknowledged"] == result["duplicates"] == result["orphan_processes"] == 0
    assert set(result["recovery_s"]) == {"actor", "shard", "learner", "coordinator"}
    assert done.stderr.count("survived after") == result["faults"]
    assert (kept / "disk" / "run" / "metrics.jsonl").is_file() and not (kept / "disk").is_mount()
    assert json.loads((kept / "result.json").read_text()) == result
