"""The closing words of a run: courses of tasks and the sentence of judgement."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors.evaluation_result import EpisodeResult, EvaluationResult, TaskEvaluation
from actors.suites import parse_suite
from stars_dist.monitor.evaluation_metrics import evaluation_metrics, sparkline
from stars_dist.report.closing import closing_words, judgement
from stars_dist.run_files.directory import RunDirectory

SUITE = parse_suite("toy:3")


def evaluation(successes: list[list[bool | None]], env_steps: int = 600) -> EvaluationResult:
    tasks = tuple(
        TaskEvaluation.of(f"toy-{i}", [EpisodeResult(success, 10.0 * (i + 1)) for success in task])
        for i, task in enumerate(successes)
    )
    return EvaluationResult("toy:3", "x", env_steps, 9, len(successes[0]), tasks)


@pytest.mark.parametrize(
    ("successes", "env_steps", "words"),
    [
        ([[False], [False], [False]], 90, "none of 3 tasks has begun to succeed; this is 0.15 % of the"),
        ([[True, False], [False] * 2, [False] * 2], 600, "1 of 3 tasks has begun, none of them is solved"),
        ([[True, False], [True] * 2, [False] * 2], 600, "2 of 3 tasks have begun, 1 of them is solved"),
        ([[True], [True], [True]], 120_000, "all 3 tasks are solved (0.8 or more); this is 2 times the"),
        ([[None], [None], [None]], 600, "no task says what success is: compare returns; this is 1 % of"),
    ],
)
def test_judgement(successes: list[list[bool | None]], env_steps: int, words: str) -> None:
    sentence = judgement(evaluation(successes, env_steps), SUITE)
    assert sentence.startswith(words)
    assert sentence.endswith("standard budget of 60,000 environment steps.")


def written(run: RunDirectory, *results: EvaluationResult) -> None:
    lines = [
        {"env_steps": r.env_steps, "learner_steps": 1, "wall_time_s": 1.0} | evaluation_metrics(r)
        for r in results
    ]
    run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_each_task_has_its_change_and_its_course(tmp_path: Path) -> None:
    first = evaluation([[False, False], [True, False], [False, False]], 200)
    last = evaluation([[True, True], [False, False], [False, False]])
    written(RunDirectory(tmp_path), first, last)
    rows = {
        line.split()[0]: line
        for line in closing_words(RunDirectory(tmp_path), SUITE, last).splitlines()
        if line
    }
    assert rows["toy-0"].endswith("+1.00  ▁█")
    assert rows["toy-1"].endswith("-0.50  ▅▁")
    assert rows["toy-2"].endswith("+0.00  ▁▁")


def test_tasks_without_a_success_flag_lead_with_their_return(tmp_path: Path) -> None:
    result = evaluation([[None], [None], [None]])
    assert "eval/mean_success" not in evaluation_metrics(result)
    assert evaluation_metrics(result)["eval/mean_return"] == 20.0
    written(RunDirectory(tmp_path), result)
    text = closing_words(RunDirectory(tmp_path), SUITE, result)
    assert text.splitlines()[0].split()[:3] == ["task", "mean", "return"]
    assert "0.00" not in text and "interval" not in text


def test_a_failed_episode_tells_nothing_about_the_flag() -> None:
    failed = EpisodeResult(False, 0.0, "hangs")
    assert not TaskEvaluation.of("a", [EpisodeResult(None, 1.0), failed]).has_success_flag
    assert TaskEvaluation.of("a", [EpisodeResult(False, 1.0), failed]).has_success_flag
    assert TaskEvaluation.of("a", [failed]).has_success_flag


def test_only_a_task_without_a_flag_says_so_in_json() -> None:
    mixed = evaluation([[True], [None], [False]])
    assert [task.get("has_success_flag") for task in mixed.to_json()["tasks"]] == [None, False, None]
    assert EvaluationResult.from_json(mixed.to_json()) == mixed


def test_sparklines_span_their_range() -> None:
    assert sparkline([0.0, 0.5, 1.0], 0.0, 1.0) == "▁▅█"
    assert sparkline([7.0, 7.0], 7.0, 7.0) == "▁▁"


def test_of_many_tasks_the_worst_and_the_best_are_shown(tmp_path: Path) -> None:
    last = evaluation([[task >= 60] for task in range(100)])
    written(RunDirectory(tmp_path), last)
    rows = closing_words(RunDirectory(tmp_path), parse_suite("toy:100"), last).splitlines()[1:-3]
    assert [row.split()[0] for row in rows[:40]] == [f"toy-{i}" for i in range(40)]
    assert rows[40] == "... 50 tasks between these: evaluation.json has them ..."
    assert [row.split()[0] for row in rows[41:]] == [f"toy-{i}" for i in range(90, 100)]
