"""The steps of a check: their commands exist, and every result is in a file whatever becomes of it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from stars_dist.bench.gpu_check import Step, _run, steps, system_step

PRINTS = "import sys; print({!r}); sys.exit({})"


def _step(code: str, timeout_s: float = 60.0, prints_json: bool = True) -> Step:
    return Step("step", (sys.executable, "-c", code), timeout_s, prints_json, {})


@pytest.mark.parametrize(
    ("code", "passed"),
    [
        (PRINTS.format('{"x": 1}', 0), True),
        (PRINTS.format('{"x": 1}', 3), False),
        (PRINTS.format("no json", 0), False),
    ],
)
def test_a_result_is_written_in_any_case(code: str, passed: bool, tmp_path: Path) -> None:
    assert _run(_step(code), tmp_path, time.monotonic() + 60) is passed
    written = json.loads((tmp_path / "step.json").read_text())
    assert written["passed"] is passed and written.get("result") == (
        {"x": 1} if passed else written.get("result")
    )


def test_a_step_ends_at_its_deadline(tmp_path: Path) -> None:
    assert not _run(
        _step("import time; print('begun', flush=True); time.sleep(60)", 3.0), tmp_path, time.monotonic() + 60
    )
    written = json.loads((tmp_path / "step.json").read_text())
    assert written["exit_code"] is None and "begun" in written["output"] and written["seconds"] < 40
    assert any("out of time" in line for line in written["output"])


def test_without_time_a_step_is_not_begun(tmp_path: Path) -> None:
    assert not _run(_step("raise SystemExit"), tmp_path, time.monotonic() - 1)
    assert system_step("cuda", 0.1) is None


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_every_suite_and_method_is_measured_within_nine_minutes(device: str) -> None:
    listed = steps(device)
    assert [step.name for step in listed][:2] == ["tests", "bench-learner-mt10-stars"] and len(listed) == 7
    if device == "cuda":
        assert sum(step.timeout_s for step in listed) < 9 * 60 - 120
