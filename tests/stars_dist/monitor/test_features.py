"""Features of stored states: those of the policy itself, and what TensorBoard's projector reads of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from tensorboard.plugins.projector import projector_config_pb2

from actors.policy import NumpyPolicy
from stars_dist.monitor.features import policy_features, principal_plane, write_projector
from tests.actors.conftest import random_weights

OBS_DIM = 6


def test_each_state_has_the_features_of_its_own_task() -> None:
    weights = random_weights()
    obs = np.random.default_rng(0).normal(size=(5, OBS_DIM)).astype(np.float32)
    task_id = np.array([0, 0, 1, 3, 3])
    found = policy_features(weights, obs, task_id, OBS_DIM)
    for row, task in enumerate(task_id.tolist()):
        shared, unique = NumpyPolicy(weights, [task], OBS_DIM).features(obs[row : row + 1])
        np.testing.assert_allclose(found["shared"][row], shared[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["unique"][row], unique[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found["unique"], axis=1), 1.0, rtol=1e-5)


def test_the_plane_holds_the_two_directions_of_most_variance() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 5)) * [0.1, 9.0, 0.1, 3.0, 0.1] + 7.0
    plane = principal_plane(features.astype(np.float32))
    assert abs(np.corrcoef(plane[:, 0], features[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(plane[:, 1], features[:, 3])[0, 1]) > 0.99
    assert principal_plane(np.ones((4, 1), np.float32)).shape == (4, 2)


def test_the_projector_finds_its_files(tmp_path: Path) -> None:
    features = {"unique": np.eye(3, dtype=np.float32)}
    write_projector(tmp_path, features, np.array([0, 1, 1]), ("reach", "push"))
    empty: Any = projector_config_pb2
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), empty.ProjectorConfig())
    (entry,) = config.embeddings
    assert np.loadtxt(tmp_path / entry.tensor_path, delimiter="\t").tolist() == np.eye(3).tolist()
    assert (tmp_path / entry.metadata_path).read_text().split() == ["reach", "push", "push"]
