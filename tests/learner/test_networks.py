"""Networks equal a plain implementation: row by row, member by member, with the explicit sum over K."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from learner.batch import TensorBatch
from learner.network_config import NetworkConfig, SharedConfig
from learner.networks import FeatureNetwork, NetworkInput, actor_network, critic_network
from learner.pooled_layers import compose, initial_mix, set_pool_grad
from replay_service.types import TransitionSpec
from tests.learner.conftest import (
    ACTION_DIM,
    NO_UNIQUE,
    OBS_DIM,
    SMALL,
    VARIANTS,
    method_config,
    network_input,
)
from tests.learner.plain_reference import row_output

SPEC = TransitionSpec(3, OBS_DIM, ACTION_DIM)
GROUP_SIZES = (2, 5, 3)


def _distinct(network: FeatureNetwork) -> FeatureNetwork:
    """Parameters away from their symmetric start, or a wrong mix would not show."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    network.normalize_mix()
    return network


def _forward(
    network: FeatureNetwork, batch: TensorBatch, action: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    return network(network.compose(), network_input(batch), action)


@pytest.mark.parametrize("method", VARIANTS)
@pytest.mark.parametrize("build", [actor_network, critic_network])
def test_equals_plain_rows(method: str, build: Callable[..., FeatureNetwork], make_batch: Callable) -> None:
    batch = make_batch(GROUP_SIZES)
    network = _distinct(build(method_config(method), SPEC, torch.Generator().manual_seed(0)))
    action = batch.action if build is critic_network else None
    inputs = network_input(batch)._replace(unique_obs=2 * batch.obs - 1)
    value, unique = network(network.compose(), inputs, action)
    for member in range(network.layout.ensemble):
        for row in range(batch.num_rows):
            row_action = None if action is None else action[row]
            expected, expected_unique = row_output(network, member, inputs, row, row_action)
            torch.testing.assert_close(value[member, row], expected, rtol=1e-4, atol=1e-5)
            if expected_unique is not None and unique is not None:
                torch.testing.assert_close(unique[member, row], expected_unique, rtol=1e-4, atol=1e-5)
    assert (unique is not None) == network.config.unique.enabled


def test_ensemble_equals_two_critics(make_batch: Callable) -> None:
    """The twin critics as one batched product give what two critics of one member each give."""
    batch = make_batch(GROUP_SIZES)
    twin = _distinct(critic_network(SMALL, SPEC, torch.Generator().manual_seed(0)))
    value, _ = _forward(twin, batch, batch.action)
    assert not torch.allclose(value[0], value[1])
    single_layout = twin.layout._replace(ensemble=1)
    for member in range(2):
        single = FeatureNetwork(SMALL, single_layout, torch.Generator())
        single.load_state_dict({k: v[member : member + 1] for k, v in twin.state_dict().items()})
        torch.testing.assert_close(_forward(single, batch, batch.action)[0][0], value[member])


def test_one_code_path_for_one_task_and_many(make_batch: Callable) -> None:
    """A task's rows have the same values alone and among the rows of other tasks."""
    network = _distinct(critic_network(SMALL, SPEC, torch.Generator().manual_seed(0)))
    batch = make_batch(GROUP_SIZES)
    value, _ = _forward(network, batch, batch.action)
    part = slice(2, 7)
    alone = NetworkInput(batch.obs[part], batch.obs[part], batch.task_id[part], (0, 5, 0))
    torch.testing.assert_close(
        network(network.compose(), alone, batch.action[part]).value_EBD, value[:, part]
    )


def test_composed_weights_are_constants_until_leaves_are_requested(make_batch: Callable) -> None:
    """The actor's loss reaches the action through the critics, and nothing of theirs."""
    network, batch = critic_network(SMALL, SPEC, torch.Generator().manual_seed(0)), make_batch(GROUP_SIZES)
    action = batch.action.clone().requires_grad_()
    inputs = network_input(batch)
    network(network.compose(), inputs, action).value_EBD.sum().backward()
    assert action.grad is not None and action.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in network.parameters())
    leaves = network.compose().leaves()
    gradient = torch.autograd.grad(network(leaves, inputs, action).value_EBD.sum(), leaves.flat())
    network.set_gradients(leaves.like(gradient))
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_equal_slices_diverge_with_training() -> None:
    network = actor_network(method_config("equal-slices"), SPEC, torch.Generator().manual_seed(0))
    assert network.mix is not None
    for pool in (*network.shared, network.head):
        assert torch.equal(pool[:, 0], pool[:, 1])
    one_task = torch.zeros(1, 3, *network.shared[0].shape[2:])
    one_task[:, 0] = 1.0
    with torch.no_grad():
        mix_grad = set_pool_grad(one_task, network.shared[0], network.mix)
    grad = network.shared[0].grad
    assert grad is not None and not torch.allclose(grad[:, 0], grad[:, 1])
    assert mix_grad.shape == network.mix.shape


def test_composition_and_its_gradient_equal_the_sum_over_slices() -> None:
    generator = torch.Generator().manual_seed(3)
    pool = torch.randn(2, 4, 3, 5, generator=generator, requires_grad=True)
    mix = torch.randn(2, 3, 4, generator=generator, requires_grad=True)
    tasks = [torch.stack([mix[:, t, k, None, None] * pool[:, k] for k in range(4)]).sum(0) for t in range(3)]
    expected = torch.stack(tasks, dim=1)
    composed = torch.empty(2, 3, 3, 5)
    compose(pool.detach(), mix.detach(), composed)
    torch.testing.assert_close(composed, expected.detach())
    grad = torch.randn(composed.shape, generator=generator)
    expected_pool, expected_mix = torch.autograd.grad(expected, [pool, mix], grad)
    with torch.no_grad():
        torch.testing.assert_close(set_pool_grad(grad, pool, mix), expected_mix)
    torch.testing.assert_close(pool.grad, expected_pool)


def test_simplex_mix_keeps_the_scale_of_equal_slices() -> None:
    mix = initial_mix(SharedConfig(mix_init="simplex"), (2, 50, 20), torch.Generator().manual_seed(0))
    torch.testing.assert_close(mix.sum(-1), torch.ones(2, 50))
    assert mix.min() > 0 and mix.std() > 0.02


def test_one_hot_mix_gives_tasks_one_slice_in_turn() -> None:
    mix = initial_mix(SharedConfig(mix_init="one_hot"), (2, 5, 3), torch.Generator().manual_seed(0))
    assert (mix.argmax(-1) == torch.tensor([0, 1, 2, 0, 1])).all()
    assert (mix - torch.eye(3)[[0, 1, 2, 0, 1]]).std() == pytest.approx(0.1, rel=0.5)


def test_heads_are_drawn_each_but_those_of_equal_slices() -> None:
    for method, alike in (("mtmhsac", False), ("stars", False), ("paco", True)):
        head = critic_network(method_config(method), SPEC, torch.Generator().manual_seed(0)).head
        assert torch.equal(head[:, 0], head[:, 1]) == alike
        assert 2e-3 < head.abs().max() <= 3e-3


def test_independent_slices_differ() -> None:
    network = actor_network(SMALL, SPEC, torch.Generator().manual_seed(0))
    for pool in (*network.shared, network.head):
        assert not torch.equal(pool[:, 0, :-1], pool[:, 1, :-1])


@pytest.mark.parametrize("mix_init", ["normal", "simplex", "uniform", "one_hot"])
def test_independent_slices_with_w_of_length_one_keep_the_scale(mix_init: str) -> None:
    """A composed matrix has the variance of an ordinary layer's, 6 / fan_in / 3, within 10 % of 20,000 entries."""
    shared = SharedConfig.model_validate({"num_slices": 5, "mix_init": mix_init})
    config = NetworkConfig(shared=shared, unique=NO_UNIQUE, actor_hidden=(400,))
    network = actor_network(config, TransitionSpec(3, 50, 2), torch.Generator().manual_seed(0))
    weight = network.compose().shared[0][0, :, :-1]
    torch.testing.assert_close(weight.square().mean(dim=(1, 2)), torch.full((3,), 2 / 50), rtol=0.1, atol=0)


def test_the_gradient_of_a_w_of_length_one_has_no_part_along_it() -> None:
    """A loss of the layers' scale alone leaves w where it is; Adam would turn it by the sign of its components."""
    network = actor_network(SMALL, SPEC, torch.Generator().manual_seed(0))
    assert network.mix is not None
    weights = network.compose()
    network.set_gradients(weights.like([matrix.clone() for matrix in weights.flat()]))
    grad, mix = network.mix.grad, network.mix.detach()
    assert grad is not None and grad.abs().max() > 0
    torch.testing.assert_close((grad * mix).sum(-1), torch.zeros(1, 3), atol=1e-4, rtol=0)


def test_a_plain_trunk_has_no_w_whatever_the_mix_settings() -> None:
    shared = SharedConfig(kind="plain", slice_init="equal", mix_init="one_hot", mix_norm="unit")
    config = NetworkConfig(shared=shared, head="per_task", actor_hidden=(8,))
    network = actor_network(config, SPEC, torch.Generator().manual_seed(0))
    assert network.mix is None and network.shared[0].shape[1] == 1


@pytest.mark.parametrize(
    ("method", "absent"),
    [
        ("shared-only", ("task_vector", "unique")),
        ("unique-only", ("mix", "shared")),
        ("mtsac", ("mix", "task_vector", "unique")),
        ("mtmhsac", ("mix", "task_vector", "unique")),
    ],
)
def test_disabled_branches_have_no_parameters(method: str, absent: tuple[str, ...]) -> None:
    network = actor_network(method_config(method), SPEC, torch.Generator())
    names = {name.split(".")[0] for name, _ in network.named_parameters()}
    assert not names & set(absent)
