"""The published policy, run in numpy, acts as the learner's own network does, within 1e-5."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from actors.policy import NumpyPolicy
from learner.networks import NetworkInput
from learner.publisher import export_policy
from learner.sac import SacLearner
from tests.learner.conftest import METHODS, OBS_DIM, method_config

GROUP_SIZES = (4, 7, 5)


def _trained(make_learner: Callable, make_batch: Callable, method: str) -> SacLearner:
    learner = make_learner(method_config(method))
    with torch.no_grad():
        for parameter in learner.actor.parameters():  # a new head is nearly zero and would hide any error
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    learner.update(make_batch(GROUP_SIZES))
    return learner


@pytest.mark.parametrize("method", METHODS)
def test_numpy_and_torch_agree(method: str, make_learner: Callable, make_batch: Callable) -> None:
    learner, batch = _trained(make_learner, make_batch, method), make_batch(GROUP_SIZES, seed=5)
    inputs = NetworkInput(batch.obs, batch.task_id, batch.group_sizes)
    output = learner.actor(learner.actor.compose(), inputs).value_EBD[0]
    weights = export_policy(learner)
    policy = NumpyPolicy(weights, batch.task_id.tolist(), OBS_DIM)
    mean, log_std = output.detach().chunk(2, dim=1)
    obs = batch.obs.numpy()
    np.testing.assert_allclose(policy.act(obs), mean.tanh().numpy(), atol=1e-5)
    noise = np.random.default_rng(3).standard_normal(mean.shape, dtype=np.float32)
    sampled = (mean + log_std.clamp(*learner.log_std_bounds).exp() * torch.from_numpy(noise)).tanh()
    np.testing.assert_allclose(
        policy.act(obs, *policy.draw_noise(np.random.default_rng(3), 1)), sampled.numpy(), atol=1e-5
    )
    assert np.abs(mean.tanh().numpy()).max() > 0.1  # not a comparison of zeros


def test_export_is_a_copy_in_float32(make_learner: Callable, make_batch: Callable) -> None:
    learner = _trained(make_learner, make_batch, "stars")
    weights = export_policy(learner)
    before = {name: array.copy() for name, array in weights.params.items()}
    learner.update(make_batch(GROUP_SIZES, seed=1))
    assert weights.version == 1
    for name, array in weights.params.items():
        assert array.dtype == np.float32 and np.array_equal(array, before[name]), name
    assert not np.array_equal(export_policy(learner).params["shared/0/weight"], before["shared/0/weight"])
