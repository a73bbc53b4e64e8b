"""`stars-dist report` on finished toy runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stars_dist.report.curves import curves_figure
from stars_dist.report.finished_run import common_changes, group_by_method, read_finished_run

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()"]


def stars_dist(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of one method and one of another, in one process each."""
    directory = tmp_path_factory.mktemp("runs")
    short = ("launch", "--suite", "toy:2", "--steps", "600", "--eval-episodes", "2", "--serial")
    paths = []
    for presets, seed in ((("stars", "laptop"), 1), (("stars", "laptop"), 2), (("mtsac", "laptop"), 1)):
        paths.append(directory / f"{presets[0]}-{seed}")
        flags = [flag for preset in presets for flag in ("--preset", preset)]
        done = stars_dist(*short, *flags, "--seed", str(seed), "--run-dir", paths[-1])
        assert done.returncode == 0, done.stderr
    return paths


def test_a_report_groups_seeds_by_method_and_keeps_the_raw_figures(runs: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "docs" / "toy.md"
    done = stars_dist("report", *runs, "--out", page, "--title", "Toy")
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert "| stars+laptop | 2 |" in text and "| mtsac+laptop | 1 |" in text
    assert text.count("`stars-dist launch --suite toy:2") + text.count("launch --suite toy:2") >= 3
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    raw = json.loads(page.with_suffix(".json").read_text())
    assert [(run["method"], run["seed"]) for run in raw] == [
        ("stars+laptop", 1),
        ("stars+laptop", 2),
        ("mtsac+laptop", 1),
    ]
    assert all(run["evaluation"]["tasks"][0]["n"] == 2 for run in raw)


def test_a_method_is_named_by_what_tells_it_apart_in_this_report(runs: list[Path]) -> None:
    first, second, other = (read_finished_run(path) for path in runs)
    other_gamma = second._replace(settings=second.settings | {"sac.gamma": 0.5, "seed": 7})
    matched = other._replace(
        settings=other.settings | {"network.match_parameters": "stars"},
        changes=frozenset({"network.match_parameters"}),
    )
    gamma = first.settings["sac.gamma"]
    assert list(group_by_method([first, other_gamma, matched])) == [
        f"stars+laptop sac.gamma={gamma}",
        "stars+laptop sac.gamma=0.5",
        "mtsac+laptop network.match_parameters=stars",
    ]


def test_what_was_set_in_all_runs_is_listed_once(runs: list[Path]) -> None:
    found = [read_finished_run(path) for path in runs]
    alike = [run._replace(changes=frozenset({"actors.chunk_steps"})) for run in found]
    assert common_changes(alike) == [f"actors.chunk_steps={found[0].settings['actors.chunk_steps']}"]
    assert common_changes([*alike[:2], found[2]]) == []
    assert group_by_method(alike) == {"stars+laptop": alike[:2], "mtsac+laptop": alike[2:]}


def test_a_run_that_was_resumed_names_both_commands(runs: list[Path], tmp_path: Path) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(runs[0], longer)
    done = stars_dist("resume", longer, "--steps", "800")
    assert done.returncode == 0, done.stderr
    launch, resume = read_finished_run(longer).command.split(" && ")
    assert "launch --suite toy:2" in launch and launch == read_finished_run(runs[0]).command
    assert resume.endswith(f"resume {longer} --steps 800")


def test_a_legend_of_long_names_stays_within_the_picture(runs: list[Path]) -> None:
    run = read_finished_run(runs[0])
    figure = curves_figure({f"stars {'long ' * length}{i}": [run] for length in (30, 50) for i in range(3)})
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, whole = legend.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0


def test_unfinished_runs_and_wrong_names_are_refused(runs: list[Path], tmp_path: Path) -> None:
    cases = [
        (["report", tmp_path, "--out", "x.md"], "must hold config.yaml"),
        (["report", runs[0], "--out", "x.txt"], "--out must name a .md file"),
    ]
    for arguments, message in cases:
        done = stars_dist(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
