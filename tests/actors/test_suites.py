"""The suites and the errors of their names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from actors.suites import parse_suite


@pytest.mark.parametrize(
    ("text", "benchmark", "count", "first", "last", "steps"),
    [
        ("mt10", "mt10", 10, "reach-v3", "window-close-v3", 20_000_000),
        ("mt25", "mt25", 25, "reach-v3", "dial-turn-v3", 50_000_000),
        ("mt50", "mt50", 50, "assembly-v3", "window-close-v3", 100_000_000),
        ("starter", "mt1", 4, "reach-v3", "button-press-topdown-v3", 8_000_000),
        ("middle", "mt1", 6, "door-open-v3", "button-press-topdown-v3", 12_000_000),
        ("push-v3, reach-v3", "mt1", 2, "push-v3", "reach-v3", 4_000_000),
        ("toy:3", "toy:3", 3, "toy-0", "toy-2", 60_000),
    ],
)
def test_parse_suite(text: str, benchmark: str, count: int, first: str, last: str, steps: int) -> None:
    suite = parse_suite(text)
    assert suite.benchmark == benchmark
    assert suite.standard_steps == steps
    assert [task.id for task in suite.tasks] == list(range(count))
    assert (suite.task_names[0], suite.task_names[-1]) == (first, last)
    assert suite.task(last).id == count - 1


def test_benchmarks_keep_metaworlds_order() -> None:
    import metaworld.env_dict as env_dict

    for name, tasks in [("mt10", env_dict.MT10_V3), ("mt25", env_dict.MT25_V3), ("mt50", env_dict.MT50_V3)]:
        assert parse_suite(name).task_names == tuple(tasks)


@pytest.mark.parametrize(("text", "sizes"), [("mt10", (39, 4, 500)), ("toy:2", (6, 2, 50))])
def test_sizes_and_horizon(text: str, sizes: tuple[int, int, int]) -> None:
    suite = parse_suite(text)
    assert (suite.obs_dim, suite.action_dim, suite.tasks[0].horizon) == sizes
    assert {task.horizon for task in parse_suite(text, horizon=7).tasks} == {7}


def test_a_suites_name_gives_the_suite_again() -> None:
    for text in ("starter", "push-v3 ,reach-v3", "toy:2"):
        assert parse_suite(parse_suite(text).name) == parse_suite(text)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mt11", ["'mt11'", "'mt10'"]),
        ("reach-v2", ["'reach-v2'", "'reach-v3'"]),
        ("reach-v3,pushh-v3", ["'pushh-v3'", "'push-v3'"]),
        ("", ["''", "mt10"]),
        ("reach-v3,", ["''"]),
        ("push-v3,push-v3", ["'push-v3' twice"]),
        ("toy", ["'toy'", "toy:4"]),
        ("toy:0", ["from 1 to 1000"]),
        ("toy:1001", ["from 1 to 1000"]),
        ("toy:x", ["'toy:x'"]),
    ],
)
def test_wrong_suites(text: str, parts: list[str]) -> None:
    with pytest.raises(ValueError, match="suite must") as caught:
        parse_suite(text)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_task_of_a_suite() -> None:
    with pytest.raises(ValueError, match=r"suite mt10, got 'push-v2', did you mean 'push-v3'"):
        parse_suite("mt10").task("push-v2")


def test_no_simulation_is_imported_for_toy_tasks() -> None:
    code = (
        "import sys, actors.suites, actors.rollout, actors.evaluator; actors.suites.parse_suite('toy:4');"
        "bad = {'metaworld', 'mujoco', 'torch', 'ray', 'scipy.stats'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
