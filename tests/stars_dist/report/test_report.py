"""`stars-dist report` on finished toy runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stars_dist.monitor.metrics import read_metrics
from stars_dist.report.curves import curves_figure, interval
from stars_dist.report.finished_run import (
    Curve,
    common_changes,
    group_by_method,
    read_finished_run,
    read_finished_runs,
)
from stars_dist.report.page import report_page
from stars_dist.report.statistics import mean

MEAN = "eval/mean_success"
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


def test_the_picture_draws_evaluations_over_faint_rollouts_and_an_interval_only_of_several_seeds(
    runs: list[Path],
) -> None:
    methods = group_by_method([read_finished_run(path) for path in runs])
    axes = curves_figure(methods).axes[0]
    faint = [line for line in axes.lines if line.get_alpha() == 0.25]
    dotted = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(faint) == len(dotted) == 3
    evaluated = [line[MEAN] for line in read_metrics(runs[0] / "metrics.jsonl") if MEAN in line]
    np.testing.assert_allclose(np.asarray(dotted[0].get_ydata()), evaluated)
    assert len(evaluated) > 1
    assert len(axes.collections) == 1, "one band, of the method with two seeds"


def test_the_interval_holds_the_mean_and_spans_what_all_seeds_cover() -> None:
    zero, half = np.zeros((2, 2)), np.full((3, 2), 0.5)
    first = Curve(np.array([100, 300]), np.array([1.0, 3.0]), zero)
    second = Curve(np.array([200, 300, 400]), np.array([2.0, 3.0, 4.0]), half)
    moments, low, high = interval([first, second], "env_steps", mean)
    np.testing.assert_array_equal(moments, [200, 300])
    assert (low <= 0.25).all() and (high >= 0.25).all() and (low < high).all()
    assert not len(interval([first], "env_steps", mean)[0])


def test_one_seed_has_neither_interval_nor_p(runs: list[Path]) -> None:
    text = report_page("One", group_by_method(read_finished_runs([runs[0], runs[2]])), "x.png", "report")
    assert "| p |" not in text and "Intervals" not in text and " to " not in text.split("| method |")[1]
    assert "no intervals and no test" in text


def test_a_run_and_its_copy_are_not_two_seeds(runs: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    for again in (runs[0], copy):
        message = f"got seed 1 of stars\\+laptop twice, in {runs[0]} and {again}; leave one out"
        with pytest.raises(ValueError, match=message):
            read_finished_runs([runs[0], runs[1], again])


def test_unfinished_runs_and_wrong_names_are_refused(runs: list[Path], tmp_path: Path) -> None:
    cases = [
        (["report", tmp_path, "--out", "x.md"], "must hold config.yaml"),
        (["report", runs[0], "--out", "x.txt"], "--out must name a .md file"),
    ]
    for arguments, message in cases:
        done = stars_dist(*arguments)
        assert done.returncode == 2
        assert message in done.stderr
