"""The file of published weights gives them again, and appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actors.policy_weights import PolicyMetadata, PolicyWeights, read_policy, write_policy
from tests.actors.conftest import MakeWeights

TASKS = ("toy-0", "toy-1", "toy-2", "toy-3")


def write(path: Path, weights: PolicyWeights) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_policy(path, weights, PolicyMetadata(weights.version, "toy:4", TASKS, obs_dim=6, action_dim=2))


def test_a_file_gives_the_weights_again(tmp_path: Path, make_weights: MakeWeights) -> None:
    weights = make_weights(version=120)
    write(tmp_path / "policy.npz", weights)
    again, metadata = read_policy(tmp_path / "policy.npz")
    assert again.version == metadata.version == 120
    assert metadata == PolicyMetadata(120, "toy:4", TASKS, 6, 2)
    assert again.params.keys() == weights.params.keys()
    for key, value in weights.params.items():
        np.testing.assert_array_equal(again.params[key], value)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.npz"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, make_weights: MakeWeights) -> None:
    path = tmp_path / "policy.npz"
    write(path, make_weights(version=1))
    unwritable = PolicyWeights(2, {"shared/mix": np.array([object()])})
    with pytest.raises(ValueError, match="allow_pickle"):
        write(path, unwritable)
    assert read_policy(path)[0].version == 1
