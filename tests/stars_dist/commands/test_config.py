"""`stars-dist config show | diff | validate` and `presets`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from stars_dist.config.preset_files import preset_names
from tests.stars_dist.commands.conftest import Command


def test_show_prints_yaml_with_the_origin_of_each_value(stars_dist: Command) -> None:
    out = stars_dist("config", "show", "mtsac+laptop").out
    shown = json.loads(stars_dist("config", "show", "mtsac+laptop", "--json").out)
    assert yaml.safe_load(out) == shown["config"]
    line = next(line for line in out.splitlines() if line.strip().startswith("gamma:"))
    assert line == f"  gamma: {shown['config']['sac']['gamma']}  # {shown['origins']['sac.gamma']}"
    assert sum(" # " in line for line in out.splitlines()) <= len(shown["origins"])
    assert shown["origins"]["sac.gamma"] == "preset laptop"


def test_show_prints_one_value_of_a_run(finished_run: Path, stars_dist: Command) -> None:
    assert stars_dist("config", "show", finished_run, "--key", "steps").out == "600\n"
    assert json.loads(stars_dist("config", "show", finished_run, "--key", "steps", "--json").out) == 600
    section = yaml.safe_load(stars_dist("config", "show", "--key", "sac.extreme_loss").out)
    assert set(section) > {"enabled", "threshold"}


def test_diff_shows_what_tells_two_configurations_apart(finished_run: Path, stars_dist: Command) -> None:
    found = json.loads(stars_dist("config", "diff", "stars+small", finished_run, "--json").out)
    assert (
        found["steps"][1] == 600 and found["serial"] == [False, True] and found["suite"] == ["mt10", "toy:2"]
    )
    assert "sac.gamma" not in found
    out = stars_dist("config", "diff", "stars", "uniform-sampling").out
    assert "sampling.priority_exponent" in out and "0.6 -> 0.0" in out
    assert "same configuration" in stars_dist("config", "diff", finished_run, finished_run).out


def test_validate_takes_presets_and_configurations_of_runs(
    finished_run: Path, tmp_path: Path, stars_dist: Command
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("sac: {gamma: 0.9}\n")
    bad.write_text("sac: {gama: 0.9}\n")
    done = stars_dist("config", "validate", good, finished_run / "config.yaml")
    assert done.code == 0 and done.out.count(" is valid: ") == 2
    done = stars_dist("config", "validate", good, bad)
    assert done.code == 2 and "did you mean 'gamma'" in done.err and str(bad) in done.err
    assert json.loads(stars_dist("config", "validate", good, "--json").out) == {"valid": [str(good)]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "larptop"], "did you mean 'laptop'"),
        (["show", "--key", "sac.gama"], "did you mean 'sac.gamma'"),
        (["show", "/"], "must hold config.yaml"),
        (["validate", "none.yaml"], "got none.yaml"),
        (["diff", "stars", "stars+mtsac"], "a run is of one method"),
    ],
)
def test_bad_input(arguments: list[str], message: str, stars_dist: Command) -> None:
    done = stars_dist("config", *arguments)
    assert done.code == 2 and message in done.err and done.err.count("\n") == 1


def test_presets_are_described_by_their_files(stars_dist: Command) -> None:
    listed = json.loads(stars_dist("presets", "--json").out)
    assert sorted(preset["name"] for preset in listed) == preset_names()
    assert all(preset["summary"] for preset in listed)
    out = stars_dist("presets").out
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        "methods",
        "ablations",
        "mixins",
    ]
