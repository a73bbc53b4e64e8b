"""The numpy policy against an implementation that spells out one sample, and policies loaded from runs."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from actors.policy import NumpyPolicy, load_policy
from actors.policy_weights import PolicyMetadata, PolicyWeights, write_policy
from tests.actors.conftest import MakeWeights

FORMS = ["stars", "paco", "mtsac", "multi-head", "unique-only"]
TASKS = ("toy-0", "toy-1", "toy-2", "toy-3")


def spelled_out(weights: PolicyWeights, obs: np.ndarray, task: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and clipped log std for one observation, in float64, the sums of the docstring written out."""
    params = {key: value.astype(np.float64) for key, value in weights.params.items()}

    def linear(x: np.ndarray, layer: str, mix: np.ndarray) -> np.ndarray:
        weight = sum(mix[k] * params[f"{layer}/weight"][k] for k in range(len(mix)))
        bias = sum(mix[k] * params[f"{layer}/bias"][k] for k in range(len(mix)))
        return x @ weight + bias

    features = []
    for branch in ("shared", "unique"):
        if f"{branch}/mix" not in params:
            continue
        x = obs.astype(np.float64)
        if f"{branch}/task_vector" in params:
            x = np.concatenate([x, params[f"{branch}/task_vector"][task]])
        depth = len([key for key in params if key.startswith(branch) and key.endswith("/bias")])
        for i in range(depth):
            x = linear(x, f"{branch}/{i}", params[f"{branch}/mix"][task])
            if branch == "shared" or i < depth - 1:
                x = np.maximum(x, 0)
        features.append(x / np.linalg.norm(x) if branch == "unique" else x)
    out = linear(np.concatenate(features), "head", params["head/mix"][task])
    mean, log_std = out[: len(out) // 2], out[len(out) // 2 :]
    return mean, np.clip(log_std, *params["log_std_bounds"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("task_ids", [[2], [0, 1, 2, 3], [3, 1], [1, 1, 1, 0, 1, 3]])
def test_mode_and_sample(make_weights: MakeWeights, form: str, task_ids: list[int]) -> None:
    weights = make_weights(form)
    obs = np.random.default_rng(5).standard_normal((len(task_ids), 6), dtype=np.float32)
    policy = NumpyPolicy(weights, task_ids, obs_dim=6)
    mode, sample = policy.act(obs), policy.act(obs, *policy.draw_noise(np.random.default_rng(9), 1))
    noise = np.random.default_rng(9).standard_normal((len(task_ids), 2), dtype=np.float32)
    assert (mode.shape, mode.dtype, sample.dtype) == ((len(task_ids), 2), np.float32, np.float32)
    for i, task in enumerate(task_ids):
        mean, log_std = spelled_out(weights, obs[i], task)
        np.testing.assert_allclose(mode[i], np.tanh(mean), atol=1e-5)
        np.testing.assert_allclose(sample[i], np.tanh(mean + np.exp(log_std) * noise[i]), atol=1e-5)


def test_every_task_acts_differently(make_weights: MakeWeights) -> None:
    obs = np.ones((4, 6), np.float32)
    actions = NumpyPolicy(make_weights("stars"), range(4), 6).act(obs)
    assert len(np.unique(actions.round(3), axis=0)) == 4


@pytest.mark.parametrize("form", FORMS)
def test_a_policy_that_came_by_ray_acts_the_same(make_weights: MakeWeights, form: str) -> None:
    """Its arrays arrive read-only, so whatever it writes to must be its own."""
    policy = NumpyPolicy(make_weights(form), [2, 2, 0], 6)
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(policy, protocol=5, buffer_callback=buffers.append)
    received = pickle.loads(data, buffers=[buffer.raw().toreadonly() for buffer in buffers])
    assert buffers
    for obs in np.random.default_rng(5).standard_normal((2, 3, 6), dtype=np.float32):
        np.testing.assert_array_equal(received.act(obs), policy.act(obs))


def write(path: Path, weights: PolicyWeights) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_policy(path, weights, PolicyMetadata(weights.version, "toy:4", TASKS, obs_dim=6, action_dim=2))


def test_load_policy_takes_the_newest_checkpoint(tmp_path: Path, make_weights: MakeWeights) -> None:
    for version in (90, 1000):
        write(tmp_path / f"checkpoints/step-{version}/policy.npz", make_weights(version=version))
    (tmp_path / "checkpoints/step-2000").mkdir()  # a checkpoint without a policy is none
    write(tmp_path / "checkpoints/.step-3000.tmp/policy.npz", make_weights(version=3000))
    assert load_policy(tmp_path).metadata.version == 1000
    assert load_policy(tmp_path / "checkpoints/step-90").metadata.version == 90
    assert load_policy(str(tmp_path / "checkpoints/step-90/policy.npz")).metadata.version == 90


def test_a_loaded_policy_acts(tmp_path: Path, make_weights: MakeWeights) -> None:
    weights = make_weights()
    write(tmp_path / "policy.npz", weights)
    policy = load_policy(tmp_path)
    assert policy.tasks == TASKS
    obs = np.linspace(-1, 1, 6)
    action = policy.act(obs, task="toy-2", deterministic=True)
    np.testing.assert_allclose(action, np.tanh(spelled_out(weights, obs, 2)[0]), atol=1e-5)
    assert (action.shape, action.dtype) == ((2,), np.float32)
    first, second = (policy.act(obs, task="toy-2", deterministic=False) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("obs", "task", "message"),
    [
        (np.zeros(6), "toy-9", "got 'toy-9', did you mean 'toy-"),
        (np.zeros(5), "toy-0", r"shape \(6,\), got \(5,\)"),
        (np.zeros((1, 6)), "toy-0", r"got \(1, 6\)"),
        (np.array([0, 0, np.nan, 0, np.inf, 0]), "toy-0", "finite, got 2 "),
    ],
)
def test_wrong_calls(
    tmp_path: Path, make_weights: MakeWeights, obs: np.ndarray, task: str, message: str
) -> None:
    write(tmp_path / "policy.npz", make_weights())
    with pytest.raises(ValueError, match=message):
        load_policy(tmp_path).act(obs, task=task)


def test_wrong_places(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must exist, got .*nowhere"):
        load_policy(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="step-<learner_steps>"):
        load_policy(tmp_path)
    for content in (b"", b"no zip file", b"PK\x03\x04 cut off"):
        (tmp_path / "policy.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"whole and written by this project, got .*policy\.npz"):
            load_policy(tmp_path)
    np.savez(tmp_path / "policy.npz", weight=np.zeros(3))
    with pytest.raises(ValueError, match="written by this project"):
        load_policy(tmp_path)
