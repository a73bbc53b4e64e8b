"""A machine without OpenGL: what needs pictures names the packages, and the rest goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stars_dist.rendering.gl_backend import LIBRARIES, remedy
from tests.stars_dist.commands.program import run_program

NAMED = "(egl: libEGL is not installed; osmesa: libOSMesa is not installed)"


@pytest.fixture
def no_gl(tmp_path: Path) -> dict[str, str]:
    """Files that are no libraries, found before the machine's: they do not load, as libraries that are not there."""
    place = tmp_path / "libraries"
    place.mkdir()
    for library in LIBRARIES.values():
        for version in ("", ".1", ".6", ".8"):
            (place / f"{library}.so{version}").touch()
    return {"LD_LIBRARY_PATH": str(place), "MUJOCO_GL": "", "PYOPENGL_PLATFORM": ""}


@pytest.mark.timeout(300)
def test_video_is_refused_in_one_line_that_names_the_packages(no_gl: dict[str, str], tmp_path: Path) -> None:
    films = tmp_path / "films"
    done = run_program("video", "demo", "--task", "reach-v3", "--gif", "--out", films, **no_gl)
    assert done.returncode == 2 and done.stdout == "" and not films.exists()
    assert done.stderr.startswith("error: pictures need an OpenGL") and done.stderr.count("\n") == 1
    assert NAMED in done.stderr and remedy() in done.stderr


@pytest.mark.timeout(300)
def test_the_demo_shows_its_table_and_names_the_packages(no_gl: dict[str, str], tmp_path: Path) -> None:
    done = run_program("demo", "--goals", "1", "--out", tmp_path / "demo", **no_gl)
    assert done.returncode == 0 and done.stderr == ""
    assert "drawer-close-v3" in done.stdout and not (tmp_path / "demo").exists()
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("no video: ")]
    assert NAMED in line and line.endswith(remedy())


@pytest.mark.timeout(300)
def test_doctor_warns_and_names_the_packages(no_gl: dict[str, str], tmp_path: Path) -> None:
    rows = json.loads(run_program("doctor", "--json", "--runs", tmp_path, **no_gl).stdout)
    (graphics,) = [row for row in rows if row["name"] == "OpenGL"]
    assert graphics["verdict"] == "WARN" and NAMED in graphics["found"] and graphics["fix"] == remedy()
