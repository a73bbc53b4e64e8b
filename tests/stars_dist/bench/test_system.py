"""The system's benchmark: what it reads from a run's metrics, and a short run of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from stars_dist.bench.system import figures, report

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()", "bench", "system"]


def _line(steps: int, updates: int, seconds: float, **values: float) -> dict[str, float]:
    return {"env_steps": steps, "learner_steps": updates, "wall_time_s": seconds} | values


def test_rates_are_of_what_follows_the_first_update() -> None:
    lines = [
        _line(0, 0, 5.0),
        _line(1000, 0, 10.0, **{"rollout/success/a": 0.0}),
        _line(2000, 100, 20.0, **{"perf/actor/env": 0.5, "perf/learner_wait_frac": 0.2}),
        _line(4000, 300, 30.0, **{"perf/actor/env": 0.7, "perf/learner_wait_frac": 0.4}),
        _line(
            6000,
            500,
            40.0,
            **{"perf/learner_wait_frac": 0.6, "rollout/success/a": 1.0, "rollout/success/b": 0.5},
        ),
    ]
    result = figures(lines, 1.0, None, 0.9, "the time")
    assert result.env_steps_per_s == 200.0 and result.updates_per_s == 20.0
    assert result.learner_wait_share == 0.4 and result.actor_share == {"env": 0.6}
    assert result.success == 0.75 and result.device_busy_share is None
    assert "no GPU" in report(result, "toy")
    assert json.loads(json.dumps(result.to_json()))["env_steps"] == 6000


def test_bad_input_is_one_line() -> None:
    done = subprocess.run([*COMMAND, "--minutes", "0"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "--minutes must be above 0, got 0" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.cluster
@pytest.mark.slow
def test_a_run_that_makes_no_update_in_its_time_is_one_line() -> None:
    options = ["--suite", "toy:2", "--preset", "small", "--actors", "1", "--minutes", "0.1", "--json"]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=290)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: a run must make updates to be measured, it made none in 0.")
    assert "use more --minutes" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.cluster
@pytest.mark.slow
def test_a_run_of_the_toy_suite() -> None:
    options = ["--suite", "toy:2", "--preset", "small", "--actors", "1", "--minutes", "1", "--json"]
    options += ["--set", "replay.warmup_steps_per_task=200"]
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=290)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["learner_steps"] > 0 and result["env_steps_per_s"] > 0
    assert 0.5 < sum(result["actor_share"].values()) < 1.5
