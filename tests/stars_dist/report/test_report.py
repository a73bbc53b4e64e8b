"""`stars-dist report` on finished toy runs."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
from pathlib import Path

import pytest

from stars_dist.monitor.metrics import read_metrics
from stars_dist.report.comparison import compare
from stars_dist.report.figures import FIGURES, drawn
from stars_dist.report.finished_run import TIME, core_minutes, read_finished_run
from stars_dist.report.markdown_page import markdown_page
from stars_dist.report.methods import (
    check_one_budget,
    common_changes,
    group_by_method,
    read_finished_runs,
    with_baseline,
)
from stars_dist.report.words import setting, summary_header, summary_row
from stars_dist.run_files.directory import RunDirectory
from tests.stars_dist.commands.conftest import Command

MEAN = "eval/mean_success"


def test_a_report_has_every_form_side_by_side(runs: list[Path], tmp_path: Path, stars_dist: Command) -> None:
    page = tmp_path / "docs" / "toy.html"
    done = stars_dist("report", *runs, "--out", page, "--title", "Toy <1>", "--json")
    assert done.code == 0, done.err
    printed = json.loads(done.out)
    assert [(m["method"], m["seeds"]) for m in printed["methods"]] == [
        ("stars+laptop", [1, 2]),
        ("mtsac+laptop", [1]),
    ]
    names = ["toy.html", "toy.md", "toy.png", "toy-scores.png", "toy-profile.png", "toy-tasks.png"]
    names += ["toy-task-curves.png", "toy.csv", "toy-evaluations.csv", "toy.json"]
    assert printed["files"] == [str(page.with_name(name)) for name in names]
    assert sorted(path.name for path in page.parent.iterdir()) == sorted(names)
    assert all(Path(f).read_bytes().startswith(b"\x89PNG") for f in printed["files"] if f.endswith(".png"))
    raw = json.loads(page.with_suffix(".json").read_text())
    assert [(run["method"], run["seed"]) for run in raw] == [
        ("stars+laptop", 1),
        ("stars+laptop", 2),
        ("mtsac+laptop", 1),
    ]
    assert all(run["evaluation"]["tasks"][0]["n"] == 2 for run in raw)
    _check_markdown(page.with_suffix(".md").read_text())
    _check_html(page.read_text())
    _check_tables(page, runs)


def _check_markdown(text: str) -> None:
    assert "| stars+laptop | 2 |" in text and "| mtsac+laptop | 1 |" in text
    assert text.count("launch --suite toy:2") >= 3
    assert "| run | toy-0 | toy-1 |" in text and "| stars+laptop, seed 2 |" in text, "three runs of two tasks"
    assert "Few seeds: a method has one seed." in text


def _check_html(text: str) -> None:
    """One file that loads nothing, with pictures in it and what a user wrote as text."""
    assert "<h1>Toy &lt;1&gt;</h1>" in text
    assert text.count("<svg") == text.count("</svg>") == 5
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)""", text), "nothing is loaded from elsewhere"
    assert text.count("<span>--suite</span> <span>toy:2</span>") == 3, (
        "a command breaks between its words alone"
    )
    assert "<span>report</span>" in text.split("Written by")[1]
    assert text.count('class="score') == 2 * (3 + 1), "each task: three runs and the mean of the two seeds"


def _check_tables(page: Path, runs: list[Path]) -> None:
    with page.with_suffix(".csv").open() as file:
        final = list(csv.DictReader(file))
    assert [(row["method"], row["seed"], row["run"]) for row in final[::2]] == [
        ("stars+laptop", "1", str(runs[0])),
        ("stars+laptop", "2", str(runs[1])),
        ("mtsac+laptop", "1", str(runs[2])),
    ]
    evaluation = json.loads((runs[0] / "evaluation.json").read_text())
    assert float(final[0]["success_rate"]) == evaluation["tasks"][0]["success_rate"]
    with page.with_name("toy-evaluations.csv").open() as file:
        evaluated = [row for row in csv.DictReader(file) if row["method"] == "mtsac+laptop"]
    expected = [line for line in read_metrics(runs[2] / "metrics.jsonl") if MEAN in line]
    assert len(evaluated) == 2 * len(expected)
    assert {int(row["env_steps"]) for row in evaluated} == {line["env_steps"] for line in expected}


def test_a_report_of_one_run_lies_in_the_run_and_says_what_it_reached(
    runs: list[Path], stars_dist: Command
) -> None:
    done = stars_dist("report", runs[2])
    assert done.code == 0, done.err
    assert done.out.startswith("mtsac+laptop: success rate ")
    assert f"wrote {runs[2]}/report/report.html, {runs[2]}/report/report.md" in done.out
    assert stars_dist("status", runs[2], "--json").code == 0, "the run is as it was"


def test_the_baseline_leads_by_name_presets_or_run(runs: list[Path]) -> None:
    methods = group_by_method([read_finished_run(path) for path in runs])
    assert list(methods) == ["stars+laptop", "mtsac+laptop"]
    for baseline in ("mtsac+laptop", str(runs[2])):
        assert list(with_baseline(methods, baseline)) == ["mtsac+laptop", "stars+laptop"]
    with pytest.raises(ValueError, match=r"got 'mtsac'; use 'stars\+laptop', 'mtsac\+laptop', did you mean"):
        with_baseline(methods, "mtsac")


def test_runs_of_different_budgets_are_refused_with_the_command_that_evens_them(runs: list[Path]) -> None:
    first, second, _ = (read_finished_run(path) for path in runs)
    assert first.budget == 600
    message = (
        r"got 600 environment steps \(.*1\) and 900 \(.*2\); .*: stars-dist resume .*1 --steps 900, leave one"
    )
    with pytest.raises(ValueError, match=message):
        check_one_budget([first, second._replace(budget=900)])


def test_by_time_runs_of_different_budgets_are_compared(
    runs: list[Path], tmp_path: Path, stars_dist: Command
) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(runs[2], longer)
    assert stars_dist("resume", longer, "--steps", "900").code == 0
    assert stars_dist("report", runs[0], longer).err.endswith(
        "compare what they reach in their time: --by time\n"
    )
    page = tmp_path / "by-time.html"
    done = stars_dist("report", runs[0], longer, "--by", "time", "--out", page, "--json")
    assert done.code == 0, done.err
    assert [method["env_steps"] for method in json.loads(done.out)["methods"]] == [[600], [900]]
    text = page.with_suffix(".md").read_text()
    assert "600 to 900 environment steps over all tasks" in text and "reaches in its time" in text
    assert "| method | seeds | steps | mean |" in text and "| mtsac+laptop | 1 | 900 |" in text


def test_by_time_a_run_that_took_longer_is_named(runs: list[Path]) -> None:
    first, _, other = (read_finished_run(path)._replace(minutes=10.0) for path in runs)
    assert not any("minutes" in note for note in compare(group_by_method([first, other]), TIME).notes)
    by_time = compare(group_by_method([first, other._replace(minutes=11.5)]), TIME)
    assert "The runs took 10.0 to 11.5 minutes: the longer ones had more time to learn." in by_time.notes


def test_the_time_of_processors_is_summed_up_from_the_metrics_or_unknown(runs: list[Path]) -> None:
    run = read_finished_run(runs[0])
    assert 0 < run.core_minutes < (os.cpu_count() or 1) * run.minutes
    clock = {"perf/env_steps_per_s": 1.0}
    lines = [
        clock | {"wall_time_s": 60.0, "perf/busy_cores": 0.5},
        {"wall_time_s": 61.0, "eval/mean_success": 0.0},
        clock | {"wall_time_s": 180.0, "perf/busy_cores": 2.0},
    ]
    assert core_minutes(lines) == 0.5 + 2 * 2.0
    assert math.isnan(core_minutes([*lines, clock | {"wall_time_s": 190.0}]))  # as runs of older versions
    comparison = compare(group_by_method([run, read_finished_run(runs[2])._replace(core_minutes=math.nan)]))
    assert summary_header(comparison)[-1] == "core minutes"
    assert [summary_row(comparison, method)[-1] for method in comparison.methods] == [
        f"{run.core_minutes:.1f}",
        "",
    ]


def test_tasks_without_success_flags_are_compared_by_their_returns(runs: list[Path]) -> None:
    finished = []
    for run in map(read_finished_run, runs):
        tasks = tuple(
            task._replace(has_success_flag=False, mean_return=50.0) for task in run.evaluation.tasks
        )
        curve = run.evaluations._replace(scores=run.evaluations.scores * 100)
        finished.append(run._replace(evaluation=run.evaluation._replace(tasks=tasks), evaluations=curve))
    comparison = compare(group_by_method(finished))
    assert comparison.measure.name == "return" and comparison.methods[0].estimates["mean"].value == 50.0
    assert "No task says what success is" in setting(comparison)
    assert "tasks at zero" not in summary_header(comparison)
    assert drawn(FIGURES[0], comparison).axes[0].get_ylabel() == "return"


def test_a_method_is_named_by_what_tells_it_apart_in_this_report(runs: list[Path]) -> None:
    first, second, other = (read_finished_run(path) for path in runs)
    other_gamma = second._replace(settings=second.settings | {"sac.gamma": 0.5, "seed": 7})
    matched = other._replace(
        settings=other.settings | {"network.match_parameters": "stars", "network.actor_hidden": [99]},
        changes=frozenset({"network.match_parameters"}),
    )
    gamma = first.settings["sac.gamma"]
    assert list(group_by_method([first, other_gamma, matched])) == [
        f"stars+laptop sac.gamma={gamma}",
        "stars+laptop sac.gamma=0.5",
        "mtsac+laptop network.match_parameters=stars",
    ]
    assert list(group_by_method([other, matched])) == [
        "mtsac+laptop network.match_parameters=None",
        "mtsac+laptop network.match_parameters=stars",
    ], "the widths follow from it"


def test_what_was_set_in_all_runs_is_listed_once(runs: list[Path]) -> None:
    found = [read_finished_run(path) for path in runs]
    alike = [run._replace(changes=frozenset({"actors.chunk_steps"})) for run in found]
    assert common_changes(alike) == [f"actors.chunk_steps={found[0].settings['actors.chunk_steps']}"]
    assert common_changes([*alike[:2], found[2]]) == []
    assert group_by_method(alike) == {"stars+laptop": alike[:2], "mtsac+laptop": alike[2:]}


def test_a_run_that_was_resumed_names_both_commands(
    runs: list[Path], tmp_path: Path, stars_dist: Command
) -> None:
    longer = tmp_path / "longer"
    shutil.copytree(runs[0], longer)
    done = stars_dist("resume", longer, "--steps", "800")
    assert done.code == 0, done.err
    launch, resume = read_finished_run(longer).command.split(" && ")
    assert "launch --suite toy:2" in launch and launch == read_finished_run(runs[0]).command
    assert resume.endswith(f"resume {longer} --steps 800")


def test_one_seed_has_neither_interval_nor_p(runs: list[Path]) -> None:
    comparison = compare(group_by_method(read_finished_runs([runs[0], runs[2]])))
    text = markdown_page("One", comparison, Path("x.md"), "report")
    assert "| p |" not in text and "Intervals" not in text and " to " not in text.split("| method |")[1]
    assert "no intervals and no test" in text
    assert "| task | stars+laptop, seed 1 | mtsac+laptop, seed 1 |" in text, "no more runs than tasks"


def test_a_run_and_its_copy_are_not_two_seeds(runs: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs[0], copy)
    for again in (runs[0], copy):
        message = f"got seed 1 of stars\\+laptop twice, in {runs[0]} and {again}; leave one out"
        with pytest.raises(ValueError, match=message):
            read_finished_runs([runs[0], runs[1], again])


def test_what_cannot_be_reported_is_refused_in_one_line(
    runs: list[Path], tmp_path: Path, stars_dist: Command
) -> None:
    unfinished, live = tmp_path / "unfinished", tmp_path / "live"
    for path in (unfinished, live):
        shutil.copytree(runs[0], path)
        (path / "evaluation.json").unlink()
    writer = RunDirectory(live)
    writer.lock()
    cases = [
        (["report", tmp_path], "must hold config.yaml"),
        (["report", tmp_path / "none"], "must hold config.yaml"),
        (["report", runs[0], "--out", "x.txt"], "--out must name a .html or .md file, got x.txt; use x.html"),
        (
            ["report", unfinished],
            f"{unfinished} has no evaluation.json; go on with: stars-dist resume {unfinished}",
        ),
        (["report", live], f"{live} is still training; look at it with: stars-dist status {live}"),
        (
            ["report", *runs, "--baseline", "paco"],
            "--baseline must name one method of the report, got 'paco'",
        ),
        (
            ["report", runs[0], "--out", "/proc/x.html"],
            "needs a directory that can be written to, /proc is none",
        ),
    ]
    for arguments, message in cases:
        done = stars_dist(*arguments)
        assert done.code == 2, done.err
        assert message in done.err and done.err.count("\n") == 1
    writer.release()
