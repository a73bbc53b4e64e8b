"""The published policy, run in numpy, acts as the learner's own network does, within 1e-5."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from actors.policy import NumpyPolicy
from learner.publisher import export_policy
from learner.sac import SacLearner
from tests.learner.conftest import OBS_DIM, VARIANTS, method_config

GROUP_SIZES = (4, 7, 5)


def _trained(make_learner: Callable, make_batch: Callable, method: str) -> SacLearner:
    learner = make_learner(method_config(method))
    with torch.no_grad():
        for parameter in learner.actor.parameters():  # a new head is nearly zero and would hide any error
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    learner.actor.normalize_mix()
    learner.update(make_batch(GROUP_SIZES))
    return learner


@pytest.mark.parametrize("method", VARIANTS)
def test_numpy_and_torch_agree(method: str, make_learner: Callable, make_batch: Callable) -> None:
    learner, batch = _trained(make_learner, make_batch, method), make_batch(GROUP_SIZES, seed=5)
    output = learner.actor(learner.actor.compose(), learner.network_input(batch.obs, batch)).value_EBD[0]
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


def test_published_w_has_length_one(make_learner: Callable, make_batch: Callable) -> None:
    params = export_policy(_trained(make_learner, make_batch, "stars")).params
    for branch in ("shared", "head"):
        np.testing.assert_allclose(np.linalg.norm(params[f"{branch}/mix"], axis=1), 1.0, rtol=1e-6)


def test_without_a_task_vector_none_is_published(make_learner: Callable, make_batch: Callable) -> None:
    params = export_policy(_trained(make_learner, make_batch, "state-only-unique")).params
    assert "unique/task_vector" not in params and "unique/0/weight" in params
