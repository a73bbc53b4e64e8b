"""The house: imports point down only, between packages and the rooms of stars_dist, and few load what is heavy."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("replay_service", "actors", "learner", "stars_dist")  # from the ground up
# The rooms of stars_dist, from the ground up: a folder, or a file beside them. A room may import those before it, but
# for the two modes of a run, which know nothing of each other.
ROOMS = (
    "errors",
    "output_place",
    "interruption",
    "config",
    "schedule",
    "run_files",
    "monitor",
    "build",
    "serial",
    "cluster",
    "evaluate",
    "report",
    "status",
    "rendering",
    "training",
    "video",
    "demo",
    "bench",
    "chaos",
    "export",
    "sweep",
    "doctor",
    "api",
    "help_page",
    "commands",
    "cli",
    "reference",
    "__main__",
)
APART = {
    "cluster": {"serial"},
    "evaluate": {"serial", "cluster"},
    "report": {"serial", "cluster"},
    "chaos": {"serial", "cluster", "training"},  # it sees a run from outside
    "status": {"serial", "cluster"},
    "video": {"serial", "cluster", "training"},
    "demo": {"serial", "cluster", "training"},
    "export": {"serial", "cluster", "training"},
    "sweep": {"serial", "training"},
    "doctor": {"serial", "training"},
}
MAY_IMPORT = {
    "ray": (
        "stars_dist/cluster/",
        "replay_service/transport.py",
        "stars_dist/bench/replay_ray.py",
        "stars_dist/sweep/tune_trials.py",
    ),
    "metaworld": ("actors/metaworld/", "actors/families/metaworld.py"),
    "torch": (
        "learner/",
        "stars_dist/bench/learner.py",
        "stars_dist/bench/stage_clock.py",
        "stars_dist/bench/update_modes.py",
        "stars_dist/build/device.py",
        "stars_dist/export/torchscript_file.py",
        "stars_dist/serial/serial_run.py",
    ),
}


def source_files() -> list[str]:
    return sorted(
        str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    )


def imported_modules(file: str) -> set[str]:
    """Every module that a file imports anywhere, `from package import module` as package.module."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_packages(file: str) -> set[str]:
    return {name.split(".")[0] for name in imported_modules(file)}


def room_of(file: str) -> str:
    return file.removeprefix("stars_dist/").split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("file", source_files())
def test_imports_point_down(file: str) -> None:
    above = set(PACKAGES[PACKAGES.index(file.split("/")[0]) + 1 :])
    assert not imported_packages(file) & above


@pytest.mark.parametrize("file", [file for file in source_files() if file.startswith("stars_dist/")])
def test_imports_between_rooms_point_down(file: str) -> None:
    room = room_of(file)
    if room == "__init__":
        assert not {
            name
            for name in imported_modules(file)
            if name not in ("sys", "typing.Any", "importlib.import_module")
        }
        return
    modules = {name for name in imported_modules(file) if name.startswith("stars_dist.")}
    rooms = {name.split(".")[1] for name in modules} - {"__version__"}
    allowed = {*ROOMS[: ROOMS.index(room) + 1]} - APART.get(room, set())
    assert rooms <= allowed, f"{room} may import {sorted(allowed)}"


def test_every_room_is_known() -> None:
    ours = {"__init__.py", "__pycache__"}
    found = {path.stem for path in (ROOT / "stars_dist").iterdir() if path.name not in ours}
    assert found == set(ROOMS)


def test_the_map_of_the_rooms_is_that_of_the_page() -> None:
    """One line each in docs/architecture.md, in their order, with what each may not import."""
    row = r"^\| `stars_dist/(\w+)(?:\.py|/)` \| (.+) \| (.*)\|$"
    rows = re.findall(row, (ROOT / "docs/architecture.md").read_text(), re.M)
    assert tuple(room for room, _, _ in rows) == ROOMS
    assert {room: set(re.findall(r"`(\w+)`", apart)) for room, _, apart in rows if apart.strip()} == APART


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_only_listed_places_import(package: str) -> None:
    importing = {file for file in source_files() if package in imported_packages(file)}
    assert {file for file in importing if not file.startswith(MAY_IMPORT[package])} == set()
    for place in MAY_IMPORT[package]:
        assert any(file.startswith(place) for file in importing), f"{place} no longer imports {package}"


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("stars_dist.cluster.processes, stars_dist.build.rollout, actors.environment", {"torch"}),
        ("stars_dist.cli, stars_dist.config.merge", {"torch", "ray", "metaworld"}),
        ("stars_dist.cli", {"numpy", "pydantic", "gymnasium", "scipy"}),
        ("stars_dist.evaluate", {"torch", "ray"}),
        ("replay_service.shard, replay_service.plan", {"torch", "ray", "metaworld"}),
    ],
    ids=["an actor's process", "a plan", "the command line", "an evaluation", "a shard"],
)
def test_process_does_not_load(modules: str, absent: set[str]) -> None:
    code = f"import sys, {modules}; print(*[m for m in {sorted(absent)!r} if m in sys.modules])"
    assert output_of(code).split() == []


def test_a_serial_run_loads_no_ray(tmp_path: Path) -> None:
    arguments = ["launch", "--suite", "toy:2", "--preset", "small", "--serial", "--steps", "2000"]
    arguments += ["--run-dir", str(tmp_path / "run")]
    code = f"""
import sys
from fnmatch import fnmatch
from stars_dist.cli import main
sys.argv = ["stars-dist", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("loaded:", *[name for name in sys.modules if name.split(".")[0] == "ray"])
"""
    assert output_of(code).strip().endswith("loaded:")
    assert (tmp_path / "run" / "evaluation.json").is_file()


def output_of(code: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)  # on a busy machine
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md", "docs/algorithm.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    """Code is named as `package/file.py`, a folder as `package/`, a symbol as `package/file.py:Symbol`."""
    pattern = rf"`((?:{'|'.join(PACKAGES)}|tests|deploy|docs)/[\w/.\-]*)(?::(\w+))?`"
    named = re.findall(pattern, (ROOT / page).read_text())
    assert named
    for path, symbol in named:
        assert (ROOT / path).exists(), f"{page} names {path}"
        if symbol:
            assert re.search(rf"^\s*(?:class|def) {symbol}\b|^{symbol}\b", (ROOT / path).read_text(), re.M)


def test_pytest_looks_into_every_directory_of_tests(pytestconfig: pytest.Config) -> None:
    skipped = pytestconfig.getini("norecursedirs")
    directories = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(directories) > 20
    assert not [name for name in directories if any(fnmatch(name, pattern) for pattern in skipped)]
