"""`stars-dist demo`: its policy solves goals of stock Meta-World, and what it prints next can be typed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import typer.main

from stars_dist.cli import app
from stars_dist.demo.goals import SolvedGoals, goals_table, solve_task
from stars_dist.demo.ship import LARGEST_BYTES
from stars_dist.demo.starter_policy import POLICY_FILE, starter_policy, training_record
from tests.stars_dist.commands.conftest import Command, stars_dist

__all__ = ["stars_dist"]  # the fixture


def test_the_policy_solves_goals_of_stock_meta_world() -> None:
    policy = starter_policy()
    assert policy.environment.fast is False
    assert policy.suite.task_names == (
        "reach-v3",
        "drawer-close-v3",
        "window-close-v3",
        "button-press-topdown-v3",
    )
    task = policy.suite.task("drawer-close-v3")
    solved = solve_task(policy, task.id, 3)
    assert solved.num_solved == 3 and all(0 < step < 500 for step in solved.solved_at if step)


def test_the_policy_is_small_and_tells_how_it_was_trained() -> None:
    assert POLICY_FILE.stat().st_size < LARGEST_BYTES
    record = training_record()
    assert "--suite starter" in record["command"] and len(record["commit"]) >= 40
    assert starter_policy().weights.version == record["learner_steps"] > 0


@pytest.mark.timeout(600)
def test_a_short_demo_without_a_video(stars_dist: Command, tmp_path: Path) -> None:
    done = stars_dist("demo", "--goals", "1", "--no-video", "--json", "--out", tmp_path)
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert len(result["tasks"]) == 4 and result["files"] == [] and result["training"] == training_record()
    assert list(tmp_path.iterdir()) == []


def test_the_next_commands_are_taken_by_the_command_line() -> None:
    from stars_dist.commands.demo import next_lines

    lines = next_lines(training_record(), [], None)
    commands = [shlex.split(line) for line in lines if line.strip().startswith("stars-dist")]
    assert len(commands) == 3
    root = typer.main.get_command(app)
    for words in commands:
        root.commands[words[1]].make_context("stars-dist", words[2:])  # pyright: ignore[reportAttributeAccessIssue]


def test_the_table_counts_goals() -> None:
    text = goals_table([SolvedGoals("a", (10, 20, None, 30)), SolvedGoals("b", (None, None))])
    assert text.splitlines()[1].split() == ["a", "3", "4", "0.30", "to", "0.95", "20"]
    assert text.splitlines()[2].split()[-1] == "-" and text.endswith("0.38")
