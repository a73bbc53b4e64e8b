"""The wheel: what it holds, and that it works from a directory outside the repository."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from stars_dist import __version__

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("stars_dist", "actors", "learner", "replay_service")


def sources() -> Iterator[str]:
    """Every file that the wheel must hold."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.suffix in (".py", ".yaml", ".npz", ".json", ".jinja") and "__pycache__" not in path.parts:
                yield str(path.relative_to(ROOT))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it with the setuptools that are here: no registry is asked."""
    place = tmp_path_factory.mktemp("wheel")
    build = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(place)], cwd=copy_of_sources(place), check=True, capture_output=True
    )
    (found,) = place.glob("*.whl")
    return found


def copy_of_sources(place: Path) -> Path:
    """Copy what is built, since a build writes beside its sources."""
    copy = place / "sources"
    for name in (*sources(), "pyproject.toml", "README.md", "LICENSE"):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    return copy


def test_it_holds_every_source_preset_and_the_policy_of_the_demo_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entry_points,) = (n for n in archive.namelist() if n.endswith("entry_points.txt"))
        points = archive.read(entry_points).decode()
    assert names == set(sources())
    assert "stars_dist/config/presets/methods/stars.yaml" in names
    assert "stars_dist/demo/starter/policy.npz" in names
    assert "stars-dist = stars_dist.cli:main" in points
    assert wheel.stat().st_size < 2_000_000


def test_its_metadata_say_what_the_project_says(wheel: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
    assert set(re.findall(r"^Provides-Extra: (.+)$", metadata, re.M)) == set(project["optional-dependencies"])
    assert f"Requires-Python: {project['requires-python']}" in metadata
    assert f"\nVersion: {__version__}\n" in metadata
    assert "License-Expression: MIT" in metadata and "Python :: 3.11" in metadata


def test_what_a_user_may_ask_for_is_an_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"video", "report", "export", "wandb", "mlflow", "sweep", "bench", "docs", "dev"} <= set(extras)


DISTRIBUTIONS = {
    "mlflow": "mlflow-skinny",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "imageio_ffmpeg": "imageio-ffmpeg",
}
BROUGHT_ALONG = {  # by what is declared, and why it is not declared itself
    "mujoco": "metaworld pins it to the version that its tasks are made for",
    "annotated_types": "pydantic's own words for bounds",
    "grpc": "Ray's transport, whose errors are recognised",
    "pydantic_core": "pydantic's own errors",
}


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for lines in extras for line in lines)]
    declared = {Requirement(line).name.lower() for line in wanted} | set(BROUGHT_ALONG)
    imported: set[str] = set()
    for file in sources():
        if file.endswith(".py"):
            imported |= top_level_imports((ROOT / file).read_text())
    foreign = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    assert {DISTRIBUTIONS.get(name, name).lower() for name in foreign} <= declared


def top_level_imports(text: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_it_runs_outside_the_repository(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "PYTHONPATH": str(site)
    }
    for arguments in (
        ("presets", "--json"),
        ("launch", "--suite", "toy:2", "--preset", "small", "--dry-run"),
        ("video", "demo", "--help"),
    ):
        program = "import stars_dist.cli as cli; print(cli.__file__); cli.main()"
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(str(site)), done.stdout
