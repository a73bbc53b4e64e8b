"""`stars-dist features`: projections of known features, and pictures of trained toy policies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from actors.policy import NumpyPolicy
from stars_dist.evaluate import read_checkpoint_policy
from stars_dist.report.feature_map import map_features, policy_features

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()"]


def stars_dist(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    directory = tmp_path_factory.mktemp("runs")
    paths = [directory / preset for preset in ("stars", "shared-only")]
    for path in paths:
        short = (
            "--suite",
            "toy:2",
            "--steps",
            "600",
            "--eval-episodes",
            "2",
            "--serial",
            "--preset",
            "small",
        )
        presets = ("--preset", path.name, "--preset", "small")
        done = stars_dist("launch", *short, *presets, "--run-dir", path)
        assert done.returncode == 0, done.stderr
    return paths


def test_a_map_shows_the_directions_of_most_variance() -> None:
    """Two tasks 6 apart along one axis, each spread by 1 along another, in five dimensions."""
    spread = np.array([-1.0, 1.0, -1.0, 1.0])
    rows = np.zeros((2, 4, 5), np.float32)
    rows[:, :, 3] = [[3.0], [-3.0]]
    rows[:, :, 1] = spread
    mapped = map_features(list(rows))
    assert mapped.within == pytest.approx(1 / 10)  # 1 within beside 9 between
    assert mapped.shown == pytest.approx(1.0)
    np.testing.assert_allclose(np.abs(mapped.points[:, 0]), 3.0, atol=1e-6)
    np.testing.assert_allclose(np.abs(mapped.points[:, 1]), 1.0, atol=1e-6)
    assert len(set(np.sign(mapped.points[mapped.task_id == 0, 0]))) == 1
    assert mapped.task_id.tolist() == [0] * 4 + [1] * 4


def test_a_single_feature_and_equal_features_are_drawn_too() -> None:
    single = map_features([np.ones((3, 1), np.float32), np.zeros((3, 1), np.float32)])
    assert single.points.shape == (6, 2) and single.within == 0.0
    assert np.isfinite(map_features([np.ones((3, 4), np.float32)] * 2).points).all()


def test_features_are_what_the_head_reads(runs: list[Path]) -> None:
    """Unique features have length one; the head on both gives the mean action that the policy chooses."""
    policy = read_checkpoint_policy(runs[0])
    numpy_policy = NumpyPolicy(policy.weights, (1,), policy.plan.suite.obs_dim)
    obs = np.random.default_rng(0).standard_normal((1, policy.plan.suite.obs_dim), np.float32)
    shared, unique = numpy_policy.features(obs)
    assert np.linalg.norm(unique) == pytest.approx(1.0, abs=1e-5)
    assert (shared >= 0.0).all() and shared.shape == (1, 64) and unique.shape == (1, 16)
    kept = shared.copy()
    numpy_policy.features(obs + 1.0)
    np.testing.assert_array_equal(
        shared, kept
    )  # the network's memory is overwritten, what was returned is not


def test_each_task_has_as_many_states_and_a_missing_branch_is_missing(runs: list[Path]) -> None:
    features = policy_features(read_checkpoint_policy(runs[1]), episodes=2, states_per_task=7)
    assert list(features.maps) == ["shared"]
    assert np.bincount(features.maps["shared"].task_id).tolist() == [7, 7]
    assert 0.0 < features.maps["shared"].within < 1.0


def test_the_command_draws_all_runs_into_one_picture(runs: list[Path], tmp_path: Path) -> None:
    picture = tmp_path / "new" / "features.png"
    done = stars_dist("features", *runs, "--out", picture, "--episodes", "1", "--states", "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("of their variance within tasks") == 3 and f"wrote {picture}" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "page.pdf"), "--out must name a .png file, got page.pdf; use page.png"),
        (("--states", "0"), "--states must be at least 1, got 0"),
        (("/nowhere",), "/nowhere"),
    ],
)
def test_bad_input_is_one_line(runs: list[Path], arguments: tuple[str, ...], said: str) -> None:
    done = stars_dist("features", runs[0], *arguments)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, done.stderr
