"""`stars-dist bench actor`: its shares are of one whole, and what it refuses."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from stars_dist.cli import app
from stars_dist.errors import UserError

SHORT = ("bench", "actor", "--suite", "toy:2", "--preset", "stars", "--preset", "small", "--seconds", "0.2")


def test_json() -> None:
    result = CliRunner().invoke(app, [*SHORT, "--envs", "3", "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["envs_per_actor"] == 3
    assert [task["name"] for task in figures["tasks"]] == ["toy-0", "toy-1"]
    for shares in (*figures["tasks"], {k.removesuffix("_share"): v for k, v in figures.items()}):
        assert shares["environment"] + shares["policy"] + shares["sending"] == pytest.approx(1.0)
        assert 0.01 < shares["policy"] < 0.99, "the policy acts, not the warm-up's random actions"
    mean_us = sum(task["step_us"] for task in figures["tasks"]) / 2
    assert figures["steps_per_s"] == pytest.approx(1e6 / mean_us)


def test_table() -> None:
    result = CliRunner().invoke(app, SHORT)
    assert result.exit_code == 0, result.output
    assert "stars+small, suite toy:2: 4 environments per actor, one thread" in result.stdout
    assert result.stdout.count("%") == 2 * 3 + 2


@pytest.mark.parametrize(
    ("arguments", "message"), [(("--envs", "0"), "--envs must be"), (("--suite", "mt12"), "got 'mt12'")]
)
def test_bad_input(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["bench", "actor", *arguments])
    assert isinstance(result.exception, UserError)  # which the program's own main turns into exit code 2
    assert message in str(result.exception)
