"""`stars-dist export`: each format loaded as its users load it, and its actions beside those of the run's policy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from actors.policy import load_policy
from stars_dist.export.exported_policy import greatest_deviation, read_exported
from tests.stars_dist.commands.conftest import Command

pytest.importorskip("onnx")
pytest.importorskip("safetensors")
onnxruntime = pytest.importorskip("onnxruntime")


def expected_actions(run: Path, obs: np.ndarray, tasks: list[str]) -> np.ndarray:
    policy = load_policy(run)
    return np.stack([policy.act(row, task) for row, task in zip(obs, tasks, strict=True)])


def test_onnx_of_all_tasks_acts_as_the_policy(
    finished_run: Path, tmp_path: Path, stars_dist: Command
) -> None:
    file = tmp_path / "new" / "policy.onnx"
    written = json.loads(stars_dist("export", finished_run, "--out", file, "--json").out)
    assert written["file"] == str(file) and written["greatest_deviation"] < 1e-5
    assert written["tasks"] == ["toy-0", "toy-1"] and set(written["inputs"]) == {"obs", "task_id"}
    session = onnxruntime.InferenceSession(file)
    obs = np.random.default_rng(3).normal(size=(5, 6)).astype(np.float32)
    task_id = np.array([0, 1, 1, 0, 1])
    (actions,) = session.run(["action"], {"obs": obs, "task_id": task_id})
    expected = expected_actions(finished_run, obs, [f"toy-{i}" for i in task_id])
    np.testing.assert_allclose(actions, expected, atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["tasks"] == "toy-0,toy-1"


def test_torchscript_of_one_task_takes_observations_alone(
    finished_run: Path, tmp_path: Path, stars_dist: Command
) -> None:
    import torch

    file = tmp_path / "one.pt"
    done = stars_dist("export", finished_run, "--format", "torchscript", "--task", "toy-1", "--out", file)
    assert done.code == 0, done.err
    obs = np.random.default_rng(4).normal(size=(3, 6)).astype(np.float32)
    actions = torch.jit.load(str(file))(torch.from_numpy(obs)).numpy()
    np.testing.assert_allclose(actions, expected_actions(finished_run, obs, ["toy-1"] * 3), atol=1e-5)


def test_safetensors_hold_the_published_weights(
    finished_run: Path, tmp_path: Path, stars_dist: Command
) -> None:
    from safetensors.numpy import load_file

    file = tmp_path / "policy.safetensors"
    assert stars_dist("export", finished_run, "--format", "safetensors", "--out", file).code == 0
    params = load_policy(finished_run).weights.params
    loaded = load_file(file)
    assert set(loaded) == set(params)
    assert all(np.array_equal(loaded[key], params[key]) for key in params)


def test_a_file_that_acts_otherwise_is_noticed(finished_run: Path) -> None:
    policy = read_exported(finished_run, None)
    other = policy.weights._replace(
        params={**policy.weights.params, "head/bias": policy.weights.params["head/bias"] + np.float32(1e-3)}
    )
    from stars_dist.export.safetensors_file import safetensors_act, safetensors_bytes

    act = safetensors_act(safetensors_bytes(policy._replace(weights=other)))
    assert greatest_deviation(policy, act) > 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "toy-7"), "did you mean 'toy-"),
        (("--out", "/proc/policy.onnx"), "--out must be a file that can be written"),
        (("--format", "pickle"), "pickle"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str, finished_run: Path, stars_dist: Command) -> None:
    done = stars_dist("export", finished_run, *arguments)
    assert done.code == 2 and message in done.err


def test_a_run_that_does_not_exist(tmp_path: Path, stars_dist: Command) -> None:
    done = stars_dist("export", tmp_path / "none")
    assert done.code == 2 and "must exist" in done.err
