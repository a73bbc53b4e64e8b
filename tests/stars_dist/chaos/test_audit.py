"""The audit of clocks, metrics and the ratio of updates to data, each against a run that was tampered with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stars_dist.chaos.audit import (
    learner_failures,
    metrics_failures,
    ratio_failures,
    ratio_of,
    transition_failures,
)
from stars_dist.chaos.observations import MetricLine
from stars_dist.chaos.stored_transitions import TransitionAudit
from stars_dist.config.merge import resolve, set_layer


def periodic(wall_time_s: float, env_steps: int, learner_steps: int = 0) -> dict[str, float]:
    clocks = {"env_steps": env_steps, "learner_steps": learner_steps, "wall_time_s": wall_time_s}
    return clocks | {"perf/env_steps_per_s": 1.0}


def report(wall_time_s: float, env_steps: int, learner_steps: int) -> dict[str, float]:
    clocks = {"env_steps": env_steps, "learner_steps": learner_steps, "wall_time_s": wall_time_s}
    return clocks | {"perf/updates_per_s": 1.0}


def evaluation(wall_time_s: float, env_steps: int) -> dict[str, float]:
    clocks = {"env_steps": env_steps, "learner_steps": 100, "wall_time_s": wall_time_s}
    return clocks | {"eval/mean_return": 1.0}


# An evaluation is written with the steps at which it began.
WHOLE = [
    periodic(5.0, 100),
    report(7.0, 150, 100),
    periodic(10.0, 200, 100),
    evaluation(11.0, 120),
    periodic(15.0, 200, 50),
]


def failures_of(
    tmp_path: Path,
    lines: list[dict[str, float]],
    end: str = "",
    excused: tuple[tuple[float, float], ...] = (),
) -> list[str]:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + end)
    return list(metrics_failures(path, excused, 30.0))


def test_metrics_of_an_honest_run_are_whole(tmp_path: Path) -> None:
    assert failures_of(tmp_path, WHOLE) == []


@pytest.mark.parametrize(
    ("more", "end", "failure"),
    [
        ([], '{"env_steps": 3, "lear', "1 lines of metrics.jsonl are damaged"),
        ([periodic(20.0, 150)], "", "env_steps of periodic lines falls 1 times, first from 200 to 150"),
        ([periodic(14.0, 300)], "", "wall_time_s of periodic lines falls 1 times"),
        ([report(20.0, 300, 110), report(21.0, 300, 110)], "", "1 reports of the learner are there twice"),
        ([report(20.0, 140, 110)], "", "env_steps of reports of the learner falls 1 times"),
        ([evaluation(20.0, 300), evaluation(21.0, 300)], "", "1 evaluations are there twice"),
        ([periodic(90.0, 300)], "", "the metrics have a gap of 75 s"),
    ],
    ids=[
        "a torn line",
        "steps that fall",
        "time that falls",
        "a doubled report",
        "a report of before",
        "a doubled evaluation",
        "a gap",
    ],
)
def test_metrics_that_were_tampered_with_are_not(
    tmp_path: Path, more: list[dict[str, float]], end: str, failure: str
) -> None:
    (found,) = failures_of(tmp_path, WHOLE + more, end)
    assert found.startswith(failure)


def test_a_pause_excuses_one_gap_of_its_length_and_no_more(tmp_path: Path) -> None:
    lines = [*WHOLE, periodic(135.0, 300)]
    assert failures_of(tmp_path, lines, excused=((0.0, 121.0),)) == []
    assert len(failures_of(tmp_path, [*lines, periodic(255.0, 400)], excused=((0.0, 121.0),))) == 1
    assert len(failures_of(tmp_path, [*WHOLE, periodic(200.0, 300)], excused=((0.0, 121.0),))) == 1


def test_a_learner_may_go_back_to_its_whole_checkpoint_and_no_further() -> None:
    lines = [MetricLine(at, 0, steps, 0.0) for at, steps in ((1.0, 250), (2.0, 320), (4.0, 200), (5.0, 260))]
    assert list(learner_failures(lines, [(3.0, 200)])) == []
    assert list(learner_failures(lines, [(3.0, 201)])) == [
        "the learner went back to update 200, behind its whole checkpoint at 201"
    ]
    assert list(learner_failures(lines, [(0.5, 300), (3.0, 200)])) == [], "the next fault allows it"
    assert list(learner_failures(lines, [(3.0, 201), (4.5, 0)])), "before the fault at 4.5 it was at 200"


def test_a_line_that_tells_of_before_the_checkpoint_is_no_step_back() -> None:
    lines = [MetricLine(at, 0, steps, 0.0) for at, steps in ((1.0, 630), (6.0, 641), (11.0, 655))]
    assert list(learner_failures(lines, [(5.9, 650)])) == []


def test_the_ratio_is_held_within_the_limiters_buffer_and_not_beyond() -> None:
    plan = resolve([set_layer("suite=toy:2"), set_layer("steps=100000")]).plan
    env_steps = plan.replay.total_warmup_steps + 10_000
    due = round(plan.replay.updates_due(env_steps))
    honest = ratio_of(plan, env_steps, due)
    assert honest.error < 1e-3 and not list(ratio_failures(honest))
    updates = int(honest.bound_rows / plan.replay.batch_size) + 1
    for learner_steps in (due - updates, due + updates):
        assert len(list(ratio_failures(ratio_of(plan, env_steps, learner_steps)))) == 1
    assert ratio_of(plan, env_steps, due // 2).error == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("audit", "failures"),
    [
        (TransitionAudit(100, 0, 0, 0, 0, 120), 0),
        (TransitionAudit(100, 0, 0, 40, 10, 100), 0),
        (TransitionAudit(100, 1, 0, 0, 0, 100), 1),
        (TransitionAudit(100, 0, 4, 0, 0, 104), 1),
        (TransitionAudit(100, 0, 0, 0, 0, 200), 1),
        (TransitionAudit(0, 0, 0, 0, 0, 0), 1),
    ],
    ids=["honest", "rolled back", "lost", "twice", "counted twice", "nothing audited"],
)
def test_lost_doubled_and_overcounted_transitions_are_failures(audit: TransitionAudit, failures: int) -> None:
    assert len(list(transition_failures(audit, unlogged_at_most=20))) == failures
