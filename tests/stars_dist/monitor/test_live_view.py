"""The live view and the status line: what fits, what comes first, what a task's line says."""

from __future__ import annotations

import math
import re

import pytest

from stars_dist.monitor.live_view import bar, live_view
from stars_dist.monitor.progress import Progress, TaskProgress, fitting, status_parts
from tests.stars_dist.monitor.sample_progress import PROGRESS, TASKS

WITHOUT_FLAG = PROGRESS._replace(
    warning=None, tasks=tuple(task._replace(success=math.nan) for task in TASKS[1:3])
)


def plain(progress: Progress, columns: int = 100, rows: int = 30) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", live_view(progress, "2.0 h so far", columns, rows)).splitlines()


@pytest.mark.parametrize("columns", [30, 60, 80, 200])
@pytest.mark.parametrize("rows", [8, 24])
def test_the_view_fits_the_terminal_and_begins_with_what_is_worth_most(columns: int, rows: int) -> None:
    lines = plain(PROGRESS, columns, rows)
    assert all(len(line) < columns for line in lines) and len(lines) <= rows - 2
    assert lines[0].startswith("training  30%")
    assert columns < 60 or "2.8 h left" in lines[0]
    assert "success 0.45" in lines[1]


def test_everything_is_on_a_wide_screen() -> None:
    text = "\n".join(plain(PROGRESS))
    for words in (
        "2.8 h left",
        "2.0 h so far",
        "0.31 evaluated at 160,000 steps",
        "10.3 updates/s (45,000 of 150,000)",
        "41 steps/s (240,000 of 800,000)",
        "actors wait 85%, the learner 2%",
        "63.9 of 64 samples per insert",
        "policy lag 12 updates, at most 40",
        "task-0-v3 is starved",
        "3 of 4 alive",
        "checkpoint step-40000, 8 min ago",
    ):
        assert words in text


def test_the_worst_five_have_bars_and_quotas() -> None:
    rows = [line for line in plain(PROGRESS) if ("-v3 " in line and "rows" in line) or "0.00" in line]
    found = [re.search(r"task-\d", row) for row in rows if "warning" not in row]
    assert [match[0] for match in found if match] == [f"task-{i}" for i in range(5)]
    assert all(row.rstrip().endswith("64 rows") for row in rows if "warning" not in row)


def test_tasks_without_a_success_flag_lead_with_their_return() -> None:
    text = "\n".join(plain(WITHOUT_FLAG))
    assert "return 150.0" in text and "return     100.0" in text
    assert "success" not in text and "nan" not in text
    assert status_parts(WITHOUT_FLAG)[2] == "return 150.0"


def test_before_the_first_episode_nothing_is_nan() -> None:
    unknown = tuple(TaskProgress(task.name, math.nan, math.nan, math.nan) for task in TASKS)
    early = PROGRESS._replace(
        phase="warming up",
        learner_steps=0,
        seconds_left=None,
        tasks=unknown,
        actor_wait=math.nan,
        learner_wait=math.nan,
        samples_per_insert=math.nan,
        memory_gib=math.nan,
        evaluation=None,
        checkpoint=None,
        warning=None,
    )
    text = "\n".join([*plain(early), *status_parts(early)])
    assert "nan" not in text and "left" not in text and "no episode has ended yet" in text


@pytest.mark.parametrize("width", [40, 47, 60, 79, 120, None])
def test_the_status_line_drops_whole_parts_and_never_the_time_left(width: int | None) -> None:
    parts = status_parts(PROGRESS)
    line = fitting(parts, width)
    assert width is None or len(line) <= width
    assert line == ", ".join(parts[: line.count(", ") + 1])
    assert line.startswith("training 30%, 2.8 h left, success 0.45")


def test_bars_are_exact_to_an_eighth() -> None:
    assert bar(0.5, 4) == "██  "
    assert bar(1 / 32, 4) == "▏   "
    assert bar(0.0, 2) == "  " and bar(1.0, 2) == bar(7.0, 2) == "██"
