"""NO_COLOR: no command writes an escape to a terminal, whatever it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stars_dist.run_files.directory import RunDirectory
from tests.stars_dist.commands.conftest import SHORT
from tests.stars_dist.commands.program import OnTerminal

ESCAPE = "\x1b"


@pytest.fixture
def live(finished_run: Path, tmp_path: Path) -> Iterator[RunDirectory]:
    """A run that a process holds."""
    run = RunDirectory(Path(shutil.copytree(finished_run, tmp_path / "run")))
    run.evaluation_file.unlink()
    run.lock()
    yield run
    run.release()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("status", "RUN"), 0, "600 of 600 steps"),
        (("runs", "RUN"), 0, "done"),
        (("report", "RUN", "--out", "DIR/report.html"), 0, "success rate"),
        (("presets",), 0, "laptop"),
        (("config", "diff", "stars", "mtsac"), 0, " -> "),
        (("launch", "--help"), 0, "Examples"),
        (("doctor", "--runs", "DIR"), None, "OpenGL"),
        (("status", "nowhere"), 2, "error: "),
        (("lanch",), 2, "error: "),
        (("launch", "--steps", "many"), 2, "error: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_a_command_shows_at_once(
    arguments: tuple[str, ...], code: int | None, text: str, finished_run: Path, tmp_path: Path
) -> None:
    words = [word.replace("RUN", str(finished_run)).replace("DIR", str(tmp_path)) for word in arguments]
    program = OnTerminal(*words, NO_COLOR="1")
    shown = program.shown()
    assert program.end() == code or code is None
    assert text in shown and ESCAPE not in shown


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_live_view_is_plain_lines(tmp_path: Path) -> None:
    plain = OnTerminal("launch", *SHORT, "--run-dir", tmp_path / "plain", NO_COLOR="1")
    shown = plain.shown()
    assert plain.end() == 0 and "toy-0" in shown and ESCAPE not in shown
    drawn = OnTerminal("launch", *SHORT, "--run-dir", tmp_path / "drawn")
    assert ESCAPE in drawn.shown() and drawn.end() == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}], ids=str)
def test_a_watch_clears_the_screen_only_where_it_may(variable: dict[str, str], live: RunDirectory) -> None:
    watch = OnTerminal("status", live.path, "--watch", **variable)
    shown = watch.shown(until="training")
    live.release()  # it died, which ends the watch
    shown += watch.shown()
    assert watch.end() == 0 and "died" in shown
    assert (ESCAPE in shown) == (not variable)
