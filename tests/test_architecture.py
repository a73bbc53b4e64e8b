"""The house: imports point down only, and only a few files may import ray, metaworld or torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("replay_service", "actors", "learner", "stars_dist")  # from the ground up
MAY_IMPORT = {
    "ray": {
        "replay_service/transport.py",
        "stars_dist/bench/replay_ray.py",
        "stars_dist/distributed.py",
        "stars_dist/evaluation_job.py",
        "stars_dist/launch.py",
        "stars_dist/poll.py",
        "stars_dist/processes.py",
        "stars_dist/ray_connection.py",
        "stars_dist/supervisor.py",
        "stars_dist/visits.py",
        "stars_dist/watch.py",
    },
    "metaworld": {
        "actors/environment.py",
        "actors/fast_metaworld.py",
        "actors/fast_rewards.py",
        "actors/fast_sawyer.py",
        "actors/goals.py",
        "actors/scripted_policy.py",
        "actors/tasks.py",
    },
    "torch": {
        "stars_dist/bench/learner.py",
        "stars_dist/bench/stage_clock.py",
        "stars_dist/learner_parts.py",
        "stars_dist/local.py",
        "stars_dist/monitor/recorder.py",
    },
}


def source_files() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imported_packages(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("file", source_files())
def test_imports_point_down(file: str) -> None:
    floor = FLOORS.index(file.split("/")[0])
    above = set(FLOORS[floor + 1 :])
    assert not imported_packages(file) & above


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_only_listed_files_import(package: str) -> None:
    importing = {file for file in source_files() if package in imported_packages(file)}
    if package == "torch":
        importing = {file for file in importing if not file.startswith("learner/")}
    assert importing == MAY_IMPORT[package]


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("stars_dist.processes, stars_dist.rollout_parts, actors.environment", {"torch"}),
        ("stars_dist.cli, stars_dist.layers", {"torch", "ray", "metaworld"}),
        ("replay_service.shard, replay_service.plan", {"torch", "ray", "metaworld"}),
    ],
    ids=["an actor's process", "the command line", "a shard"],
)
def test_process_does_not_load(modules: str, absent: set[str]) -> None:
    code = f"import sys, {modules}; print(*[m for m in {sorted(absent)!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == []
