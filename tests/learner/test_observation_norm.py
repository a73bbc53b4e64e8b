"""Running statistics of observations: right, of one effect on learner and actors, and part of a checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

from actors.policy import NumpyPolicy
from learner.batch import TensorBatch
from learner.network_config import NetworkConfig
from learner.observation_norm import ObservationNorm
from learner.publisher import export_policy
from tests.learner.conftest import OBS_DIM, method_config

GROUP_SIZES = (4, 7, 5)
SHIFT, SCALE = torch.tensor([3.0, -2.0, 0.0, 100.0, 0.5]), torch.tensor([0.1, 5.0, 1.0, 20.0, 0.05])


def _normalized(method: str) -> NetworkConfig:
    return method_config(method).model_copy(update={"observation_norm": True})


NORMALIZED = {
    "stars": _normalized("stars"),
    "unique-only": _normalized("unique-only"),
    "mtsac": _normalized("mtsac"),
    "the unique branch alone": method_config("stars"),
    "the unique branch without z": method_config("state-only-unique"),
    "no trunk": method_config("unique-only"),
}


def _shifted(batch: TensorBatch) -> TensorBatch:
    return batch._replace(obs=SHIFT + SCALE * batch.obs, next_obs=SHIFT + SCALE * batch.next_obs)


def test_statistics_are_those_of_all_rows() -> None:
    norm = ObservationNorm(OBS_DIM)
    rows = SHIFT + SCALE * torch.randn(60, OBS_DIM, generator=torch.Generator().manual_seed(0))
    for part in rows.split((7, 1, 30, 22)):
        norm.observe(part)
    variance, mean = torch.var_mean(rows.double(), dim=0, correction=0)
    torch.testing.assert_close(norm.mean, mean)
    torch.testing.assert_close(norm.variance, variance)
    torch.testing.assert_close(norm(rows).mean(0), torch.zeros(OBS_DIM), atol=1e-4, rtol=0)
    torch.testing.assert_close(norm(rows).std(0, correction=0)[1], torch.ones(()), atol=1e-3, rtol=0)


def test_components_that_hardly_vary_are_not_blown_up() -> None:
    norm = ObservationNorm(2)
    norm.observe(torch.tensor([[0.5, 1.0], [0.5, 1.0 + 1e-6]]))
    torch.testing.assert_close(
        norm(torch.tensor([[0.5, 1.001]])), torch.tensor([[0.0, 0.1]]), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("case", NORMALIZED)
def test_actors_read_raw_observations(case: str, make_learner: Callable, make_batch: Callable) -> None:
    learner = make_learner(NORMALIZED[case])
    with torch.no_grad():
        for parameter in learner.actor.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    learner.actor.normalize_mix()
    learner.update(_shifted(make_batch(GROUP_SIZES)))
    batch = _shifted(make_batch(GROUP_SIZES, seed=5))
    inputs = learner.network_input(batch.obs, batch)
    mode = learner.actor(learner.actor.compose(), inputs).value_EBD[0].detach().chunk(2, dim=1)[0].tanh()
    policy = NumpyPolicy(export_policy(learner), batch.task_id.tolist(), OBS_DIM)
    np.testing.assert_allclose(policy.act(batch.obs.numpy()), mode.numpy(), atol=1e-4)
    assert mode.abs().max() > 0.1  # not a comparison of zeros


def test_an_update_is_the_plain_one_on_normalized_rows(make_learner: Callable, make_batch: Callable) -> None:
    learner, plain = make_learner(_normalized("stars")), make_learner(method_config("raw-unique"))
    batch, norm = _shifted(make_batch(GROUP_SIZES)), ObservationNorm(OBS_DIM)
    norm.observe(batch.obs)
    learner.update(batch)
    plain.update(batch._replace(obs=norm(batch.obs), next_obs=norm(batch.next_obs)))
    for name, weight in plain.critic.state_dict().items():
        torch.testing.assert_close(learner.critic.state_dict()[name], weight)


@pytest.mark.parametrize(
    ("method", "observation_norm", "branches"),
    [
        ("stars", True, ("shared", "unique")),
        ("stars", False, ("unique",)),
        ("unique-only", False, ("unique",)),
        ("raw-unique", True, ("shared", "unique")),
        ("raw-unique", False, ()),
        ("mtsac", True, ("shared",)),
        ("paco", False, ()),
    ],
)
def test_branches_that_read_normalized_observations(
    method: str,
    observation_norm: bool,
    branches: tuple[str, ...],
    make_learner: Callable,
    make_batch: Callable,
) -> None:
    config = method_config(method).model_copy(update={"observation_norm": observation_norm})
    assert config.normalized_branches == branches
    learner, batch = make_learner(config), _shifted(make_batch(GROUP_SIZES))
    assert (learner.observation_norm is None) == (not branches)
    learner.update(batch)
    inputs = learner.network_input(batch.obs, batch)
    assert torch.equal(inputs.obs, batch.obs) == ("shared" not in branches)
    assert torch.equal(inputs.unique_obs, batch.obs) == (not branches)


@pytest.mark.parametrize("case", NORMALIZED)
def test_statistics_resume_from_a_checkpoint(case: str, make_learner: Callable, make_batch: Callable) -> None:
    learner = make_learner(NORMALIZED[case])
    learner.update(_shifted(make_batch(GROUP_SIZES)))
    restored = make_learner(NORMALIZED[case], seed=9)
    restored.load_state_dict(copy.deepcopy(learner.state_dict()))
    for one in (learner, restored):
        one.update(_shifted(make_batch(GROUP_SIZES, seed=1)))
    for name, value in learner.observation_norm.state_dict().items():
        torch.testing.assert_close(restored.observation_norm.state_dict()[name], value)
    assert float(learner.observation_norm.rows) == 2 * sum(GROUP_SIZES)
