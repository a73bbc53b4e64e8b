"""`stars-dist bench env`: its JSON, its files, and what it refuses."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_dist.cli import app
from stars_dist.errors import UserError


@pytest.mark.parametrize("actions", ["random", "scripted"])
def test_json_and_files(actions: str, tmp_path: Path) -> None:
    options = ("--suite", "reach-v3,door-lock-v3", "--steps", "25", "--actions", actions)
    result = CliRunner().invoke(app, ["bench", "env", *options, "--json", "--write", str(tmp_path)])
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert set(figures) == {"speedup_geomean", "speedup_min", "floor_ratio_geomean", "tasks"}
    one, other = figures["tasks"]
    assert set(one) == {
        "name", "stock_us", "fast_us", "floor_us", "speedup", "floor_ratio", "reset_speedup"
    }  # fmt: skip
    assert (one["name"], other["name"]) == ("reach-v3", "door-lock-v3")
    assert one["speedup"] == pytest.approx(one["stock_us"] / one["fast_us"])
    assert one["floor_ratio"] == pytest.approx(one["fast_us"] / one["floor_us"])
    assert figures["speedup_geomean"] == pytest.approx(math.sqrt(one["speedup"] * other["speedup"]))
    assert figures["speedup_min"] == min(one["speedup"], other["speedup"])
    written = json.loads((tmp_path / f"env-{actions}.json").read_text())
    assert written["tasks"] == figures["tasks"]
    assert set(written["made_by"]) >= {"command", "commit", "versions", "seed"}
    assert "| door-lock-v3 |" in (tmp_path / f"env-{actions}.md").read_text()
    assert (tmp_path / f"env-{actions}.png").read_bytes().startswith(b"\x89PNG")


def test_a_peer_is_timed_beside_ours(tmp_path: Path) -> None:
    pytest.importorskip("envpool")
    options = ("--suite", "reach-v3", "--steps", "25", "--peer", "envpool")
    result = CliRunner().invoke(app, ["bench", "env", *options, "--json", "--write", str(tmp_path)])
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    (task,) = figures["tasks"]
    assert (
        task["speedup"] == figures["speedup_geomean"] == pytest.approx(task["envpool_us"] / task["ours_us"])
    )
    assert figures["speedup_batch_geomean"] == pytest.approx(task["envpool_batch_us"] / task["ours_us"])
    assert figures["peer"].startswith("envpool ")
    assert "| reach-v3 |" in (tmp_path / "env-envpool.md").read_text()


def test_a_peer_that_is_not_installed_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "envpool.mujoco.metaworld", None)  # as where it is not there
    result = CliRunner().invoke(app, ["bench", "env", "--suite", "reach-v3", "--peer", "envpool"])
    assert isinstance(result.exception, UserError)
    assert "pip install 'stars-dist[bench]'" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--steps", "0"), "--steps must be at least 1, got 0"),
        (("--suite", "toy:2"), "--suite must be of Meta-World, got toy:2"),
        (("--suite", "mt12"), "got 'mt12'"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(app, ["bench", "env", *arguments])
    assert isinstance(result.exception, UserError)  # which the program's own main turns into exit code 2
    assert message in str(result.exception)
