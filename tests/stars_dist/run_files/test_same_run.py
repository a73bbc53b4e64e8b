"""A launch goes on with its own run and refuses another one, whatever place it is in."""

from __future__ import annotations

from pathlib import Path

import pytest

from stars_dist.config.run_config import RunConfig
from stars_dist.run_files.directory import RunDirectory
from stars_dist.run_files.remote_copy import RemoteCopy
from stars_dist.run_files.same_run import check_same_run, find_repeated, take

CONFIG = RunConfig.model_validate({"suite": "toy:4", "seed": 7})


def with_values(values: dict[str, object]) -> RunConfig:
    return RunConfig.model_validate({"suite": "toy:4", "seed": 7} | values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"address": "10.0.0.1:6379"},
        {"replay": {"directory": "/scratch/job-2"}},
        {"checkpoint": {"directory": "s3://bucket/run"}},
    ],
)
def test_where_a_run_works_makes_it_no_other_one(values: dict[str, object]) -> None:
    check_same_run(CONFIG, with_values(values), "runs/a")


@pytest.mark.parametrize(
    ("values", "difference"),
    [
        ({"seed": 8}, r"seed is 7 there and 8 here\)"),
        ({"sac": {"gamma": 0.9}}, r"sac\.gamma is 0\.99 there and 0\.9 here"),
        (
            {"steps": 4000, "serial": True},
            "steps is null there and 4000 here, serial is false there and true",
        ),
        ({"seed": 1, "steps": 1, "serial": True, "device": "cpu"}, r"device is .* here and 1 more\)"),
    ],
)
def test_another_run_is_refused_with_the_difference(values: dict[str, object], difference: str) -> None:
    with pytest.raises(ValueError, match=f"runs/a holds another run .*{difference}") as refusal:
        check_same_run(CONFIG, with_values(values), "runs/a")
    assert "\n" not in str(refusal.value)


def test_a_launch_repeats_what_its_directory_holds(tmp_path: Path) -> None:
    assert find_repeated(tmp_path, CONFIG, "stars") is None
    assert find_repeated(None, CONFIG, "stars") is None
    RunDirectory(tmp_path).write_config(CONFIG)
    repeated = find_repeated(tmp_path, CONFIG, "stars")
    assert repeated is not None and (repeated.run.path, repeated.copy) == (tmp_path, None)
    take(repeated, print)
    with pytest.raises(ValueError, match="in use; stop that run first"):
        take(repeated, print)


def test_a_launch_on_a_new_machine_repeats_what_its_copy_holds(tmp_path: Path) -> None:
    config = with_values({"checkpoint": {"directory": str(tmp_path / "copy")}})
    assert find_repeated(tmp_path / "new", config, "stars") is None
    before = RunDirectory(tmp_path / "old")
    before.path.mkdir()
    before.write_config(config)
    RemoteCopy(str(tmp_path / "copy")).begin(before)
    for path in (tmp_path / "new", None):
        repeated = find_repeated(path, config, "stars")
        assert repeated is not None and repeated.copy is not None
    run = take(repeated._replace(run=RunDirectory(tmp_path / "new")), print)
    assert run.read_config() == config
    with pytest.raises(ValueError, match=r"copy holds another run \(seed is 7 there and 9 here\)"):
        find_repeated(None, config.model_copy(update={"seed": 9}), "stars")
