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
        "stars_dist/cluster/distributed_run.py",
        "stars_dist/cluster/evaluation.py",
        "stars_dist/cluster/cluster.py",
        "stars_dist/cluster/periodic_call.py",
        "stars_dist/cluster/processes.py",
        "stars_dist/cluster/connection.py",
        "stars_dist/cluster/supervisor.py",
        "stars_dist/cluster/coordinator_client.py",
        "stars_dist/cluster/supervised_process.py",
    },
    "metaworld": {
        "actors/environment.py",
        "actors/metaworld/fast_task.py",
        "actors/metaworld/fast_rewards.py",
        "actors/metaworld/fast_sawyer.py",
        "actors/metaworld/goals.py",
        "actors/metaworld/scripted_policy.py",
        "actors/tasks.py",
    },
    "torch": {
        "stars_dist/bench/learner.py",
        "stars_dist/bench/stage_clock.py",
        "stars_dist/build/learner.py",
        "stars_dist/serial.py",
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
        ("stars_dist.cluster.processes, stars_dist.build.rollout, actors.environment", {"torch"}),
        ("stars_dist.cli, stars_dist.config.merge", {"torch", "ray", "metaworld"}),
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
