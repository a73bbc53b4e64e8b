"""Every command in the documentation is taken by its program and run, here at a small size or by the test named."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main
from ray.scripts.scripts import cli as ray_cli

from stars_dist.cli import app
from tests.docs.pages import ROOT, commands
from tests.stars_dist.commands.conftest import Command

FOUND = commands()
RUN_HERE = {
    "--help",
    *("config", "evaluate", "export", "features", "launch", "presets"),
    *("replay", "report", "resume", "runs", "status", "tasks"),
}
RUN_ELSEWHERE = {  # by the test that runs it at a small size
    "bench": "tests/stars_dist/bench",
    "chaos": "tests/stars_dist/commands/test_chaos.py",
    "demo": "tests/stars_dist/demo/test_demo.py",
    "doctor": "tests/stars_dist/doctor/test_doctor.py",
    "sweep": "tests/stars_dist/commands/test_sweep.py",
    "video": "tests/stars_dist/video/test_video.py",
}
NOT_RUN = {  # and why
    "apt-get install libegl1 libgl1": "changes the machine",
    "aws ": "asks or changes an AWS account",
    "du -sm .venv/": "needs the .venv of `make venv`",
    "export PIP_EXTRA_INDEX_URL=": "a setting of the shell",
    "export RAY_AUTH_MODE=token": "a setting of the shell",
    "source .venv/bin/activate": "a setting of the shell",
    "stars-dist --install-completion": "writes to the reader's shell; tests/stars_dist/test_help_page.py completes",
}
PLACEHOLDERS = {  # what a page leaves open
    r"\s*\[[^\]]*\]": "",
    r"\bRUN\.\.\.": "runs/a runs/b",
    r"\bRUN\b": "runs/first",
    r"\bDIR\b": "runs",
    r"\bNAME\b": "name",
    r"\bN\b": "2",
    r"launch \.\.\.": "launch --suite toy:2",
    r"docs/results/": "",
    r"/step-\d+": "/step-",
}
TOY = {"reach-v3": "toy-0", "push-v3": "toy-1", "button-press-topdown-v3": "toy-0"}
RAN: set[tuple[str, ...]] = set()
PARSER: Any = typer.main.get_command(app)


def filled(line: str) -> list[str]:
    """Fill in what a line leaves open; alternatives with | give their first."""
    for pattern, value in PLACEHOLDERS.items():
        line = re.sub(pattern, value, line)
    return shlex.split(re.sub(r"(\w+)( ?\| ?\w+)+", r"\1", line))


def of(program: str) -> list[Any]:
    """The commands of a program; those that only `--help` shows are run with the slow tests."""
    return [
        pytest.param(line, marks=pytest.mark.slow) if pages == ["docs/commands.md"] else line
        for line, pages in sorted(FOUND.items())
        if line.split(" ")[0] == program and not line.startswith(tuple(NOT_RUN))
    ]


def test_every_command_is_listed() -> None:
    assert len(FOUND) > 100
    programs = {"stars-dist", "make", "pip", "ray", "tensorboard", "python", ".venv/bin/python"}
    unlisted = [
        line for line in FOUND if line.split(" ")[0] not in programs and not line.startswith(tuple(NOT_RUN))
    ]
    assert not unlisted
    assert not [start for start in NOT_RUN if not any(line.startswith(start) for line in FOUND)]


@pytest.mark.parametrize("name", RUN_ELSEWHERE)
def test_the_named_test_runs_the_command(name: str) -> None:
    place = ROOT / RUN_ELSEWHERE[name]
    sources = [place] if place.is_file() else sorted(place.glob("test_*.py"))
    assert any(f'"{name}"' in source.read_text() for source in sources)


@pytest.mark.timeout(900)  # the first one makes the runs
@pytest.mark.parametrize("line", of("stars-dist"))
def test_stars_dist_takes_and_runs_it(line: str, reader: Path, stars_dist: Command) -> None:
    words = filled(line)[1:]
    if len(words) > 1:
        takes(words)
    if words[0] in RUN_ELSEWHERE:
        return
    assert words[0] in RUN_HERE, f"{line} is run by no test"
    is_whole = len(words) > 1 or words[0] in ("presets", "runs", "tasks")
    shrunk = tuple(small(words, reader) if is_whole else [*words, "--help"])
    if shrunk not in RAN:  # many lines shrink to the same
        done = stars_dist(*shrunk)
        assert done.code == 0, done.err
        RAN.add(shrunk)


def takes(words: list[str]) -> None:
    """Parse a line: an unknown flag, a missing argument or a wrong type raises."""
    command = PARSER
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("stars-dist", list(words))


def small(words: list[str], place: Path) -> list[str]:
    """Shrink what a line asks for: plans for runs, few steps and episodes, toy tasks, the checkpoint that there is."""
    if words[0] == "launch":
        words = [word.replace("runs/", "new/") for word in words]
        return words if "--dry-run" in words else [*words, "--dry-run"]
    checkpoint = next((place / "runs" / "first" / "checkpoints").glob("step-*")).name
    words = [TOY.get(word, word).replace("/step-", f"/{checkpoint}") for word in words]
    words = [re.sub("runs/(toy|mt10)", "runs/first", word) for word in words]
    for flag, value in {"--steps": "700", "--episodes": "2", "--shards": "2"}.items():
        if flag in words:
            words[words.index(flag) + 1] = value
    if words[0] == "resume" and "--steps" not in words:
        words += ["--steps", "700"]
    if words[0] == "report":
        if "--baseline" in words:
            words[words.index("--baseline") + 1] = "mtsac+small"
        words = [word for word in words if not word.startswith("runs/")] + ["runs/a", "runs/b"]
        words = [word.replace("mtsac+laptop", "mtsac+small") for word in words]
    if words[0] == "features":
        words = [word for word in words if not word.startswith("runs/")] + ["runs/first", "--episodes", "1"]
    return words + ["--episodes", "2"] * (words[0] == "evaluate" and "--episodes" not in words)


@pytest.mark.parametrize("line", of("make"))
def test_make_knows_the_target(line: str) -> None:
    done = subprocess.run([*line.split(" "), "-n"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", of("pip"))
def test_pip_is_given_extras_files_and_versions_that_there_are(line: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [name for found in re.findall(r"\[([\w,]+)\]", line) for name in found.split(",")]
    assert set(extras) <= set(project["optional-dependencies"])
    assert all(version == project["version"] for version in re.findall(r"stars_dist-([\d.]+)-", line))
    assert all((ROOT / file).is_file() for file in re.findall(r"-c (\S+)", line))
    for pin in re.findall(r"\b\w+==[\d.]+", line):
        assert pin in (ROOT / "constraints.txt").read_text().split()


@pytest.mark.parametrize("line", of("ray"))
def test_ray_takes_it(line: str) -> None:
    command: click.Command = ray_cli
    words = shlex.split(line.split(" > ")[0].replace("...", "x"))[1:]
    while isinstance(command, click.Group) and words:
        command = command.commands[words.pop(0)]
    if words:
        names_a_file = any(word.startswith("deploy/") for word in words)
        takes_one = any(param.name == "cluster_config_file" for param in command.params)
        words += ["deploy/cluster.yaml"] * (
            takes_one and not names_a_file
        )  # a span of prose may leave it out
        parsed = command.make_context(command.name, words).params
        assert (ROOT / parsed.get("cluster_config_file", "deploy/cluster.yaml")).is_file()


@pytest.mark.parametrize("line", of("tensorboard"))
def test_tensorboard_takes_it(line: str) -> None:
    from tensorboard import default, program

    server = program.TensorBoard(default.get_plugins())
    server.configure(argv=shlex.split(line))
    assert server.flags.logdir.rstrip("/") == "runs"


@pytest.mark.parametrize("line", of(".venv/bin/python"))
def test_pytest_is_given_tests_that_there_are(line: str) -> None:
    words = shlex.split(line)
    assert words[1:3] == ["-m", "pytest"] and (ROOT / words[3]).is_dir()
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    known = {marker.split(":")[0] for marker in markers}
    assert set(re.findall(r"\w+", words[-1])) - {"not", "and", "or"} <= known


@pytest.mark.parametrize("line", of("python"))
def test_python_runs_it(line: str) -> None:
    words = shlex.split(line)[1:]
    if words[0].endswith(".py"):  # tests/docs/test_python.py runs the examples
        assert (ROOT / words[0]).is_file()
        return
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
