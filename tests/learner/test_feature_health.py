"""The health of features on constructed ones: a mere code of the task, features free of the task, equal slices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from learner.feature_health import effective_rank, pool_health, unique_feature_health, unique_gradient_share
from learner.network_config import NetworkConfig, SharedConfig
from learner.networks import FeatureNetwork, actor_network
from replay_service.types import TransitionSpec
from tests.learner.conftest import NO_UNIQUE, method_config

GROUP_SIZES = (200, 100, 100)


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def _noise(columns: int) -> Tensor:
    return torch.randn(sum(GROUP_SIZES), columns, generator=torch.Generator().manual_seed(0))


def _code() -> Tensor:
    """One vector for each task, and next to nothing of the row."""
    return _unit(torch.eye(3).repeat_interleave(torch.tensor(GROUP_SIZES), dim=0) + 0.01 * _noise(3))


def _health(features: Tensor) -> dict[str, float]:
    values = unique_feature_health(features, GROUP_SIZES)
    return {name.removeprefix("train/unique_"): float(value) for name, value in values.items()}


def test_a_mere_code_of_the_task() -> None:
    health = _health(_code())
    assert health["within_share"] < 1e-3
    assert health["task_variance"] == pytest.approx(2 / 3, rel=0.01)  # orthogonal means: 1 - 1 / T


def test_features_free_of_the_task() -> None:
    """The variance of means over 100 rows is near 1 / 100; in a plane all directions are used alike."""
    health = _health(_unit(_noise(2)))
    assert health["task_variance"] < 0.02 and health["within_share"] > 0.98
    assert health["rank_within_task"] == pytest.approx(2.0, abs=0.05)


def test_within_and_between_add_up() -> None:
    """Half of the variance within tasks: two tasks at opposite points, each with two rows at right angles to them."""
    features = torch.tensor([[1.0, 1, 0], [1, -1, 0], [-1, 0, 1], [-1, 0, -1]]) / 2**0.5
    values = unique_feature_health(features, (2, 2))
    assert values["train/unique_within_share"].item() == pytest.approx(0.5)
    assert values["train/unique_task_variance"].item() == pytest.approx(0.5)
    assert values["train/unique_rank_within_task"].item() == pytest.approx(1.0)


@pytest.mark.parametrize("vector", [[0.6, 0.8, 0.0], [0.1, 0.7, 0.7]])
def test_one_point_for_all_rows(vector: list[float]) -> None:
    """Rounding is neither variance nor rank."""
    health = _health(_unit(torch.tensor([vector] * sum(GROUP_SIZES))))
    assert health["task_variance"] < 1e-6 and health["within_share"] < 1e-3
    assert health["effective_rank"] == pytest.approx(1.0, abs=0.01)


def test_one_task_is_not_told_apart_from_itself() -> None:
    """Half of its variance is in a plane: a rank, but nothing between tasks or of a share of it."""
    values = unique_feature_health(_unit(_noise(2)), (0, sum(GROUP_SIZES)))
    assert set(values) == {"train/unique_effective_rank", "train/unique_rank_within_task"}
    assert values["train/unique_effective_rank"].item() == pytest.approx(2.0, abs=0.05)


def test_effective_rank_of_equal_eigenvalues_is_their_number() -> None:
    features = torch.cat([torch.eye(4), -torch.eye(4)])
    assert effective_rank(features).item() == pytest.approx(4.0, rel=1e-4)


def test_tasks_without_rows_are_left_out() -> None:
    sizes = (200, 0, 100, 100, 0)
    values = unique_feature_health(_code(), sizes)
    assert all(
        torch.equal(value, unique_feature_health(_code(), GROUP_SIZES)[name])
        for name, value in values.items()
    )


def _network(tasks: int = 3, **shared: object) -> FeatureNetwork:
    config = SharedConfig.model_validate({"num_slices": 4} | shared)
    network = NetworkConfig(shared=config, unique=NO_UNIQUE, actor_hidden=(64, 64))
    return actor_network(network, TransitionSpec(tasks, 30, 2), torch.Generator().manual_seed(0))


def test_pool_of_equal_slices() -> None:
    """One direction, and tasks apart by nothing but the sum of w, which is one."""
    values = pool_health(_network(slice_init="equal", mix_init="simplex", mix_norm="none"))
    assert values["train/pool_effective_rank"] == pytest.approx(1.0, abs=1e-4)
    assert values["train/pool_second_singular"] < 1e-3
    assert values["train/task_matrix_distance"] < 1e-3


def test_pool_of_orthogonal_slices() -> None:
    """Slices of one length at right angles, tasks with one each: matrices sqrt(2) apart, of length one."""
    network = _network()
    assert network.mix is not None
    with torch.no_grad():
        network.mix.copy_(torch.eye(4)[:3])
        for pool in (*network.shared, network.head):
            pool.zero_()
            for k in range(4):
                pool[0, k, k, 0] = 2.0
    values = pool_health(network)
    assert values["train/pool_effective_rank"] == pytest.approx(4.0)
    assert values["train/pool_second_singular"] == pytest.approx(1.0)
    assert values["train/task_matrix_distance"] == pytest.approx(2**0.5)


def test_pool_of_independent_slices_is_used_from_the_start() -> None:
    values = pool_health(_network())
    assert values["train/pool_effective_rank"] > 3.5 and values["train/pool_second_singular"] > 0.8
    assert 0.5 < values["train/task_matrix_distance"] < 2.0


def test_pool_of_one_slice_or_one_task_or_none() -> None:
    assert set(pool_health(_network(num_slices=1))) == {
        "train/pool_effective_rank",
        "train/task_matrix_distance",
    }
    assert set(pool_health(_network(tasks=1))) == {"train/pool_effective_rank", "train/pool_second_singular"}
    plain = actor_network(method_config("mtsac"), TransitionSpec(3, 5, 2), torch.Generator())
    assert pool_health(plain) == {}


@pytest.mark.parametrize("method", ["stars", "state-only-unique", "unique-only"])
def test_gradient_share_of_the_unique_branch(
    method: str, make_learner: Callable, make_batch: Callable
) -> None:
    learner = make_learner(method_config(method))
    assert unique_gradient_share(learner.actor) == {}  # no update yet
    learner.update(make_batch((3, 1, 4)))
    share = unique_gradient_share(learner.actor)["train/unique_gradient_share"]
    grads = {name: p.grad.norm() for name, p in learner.actor.named_parameters()}
    own = torch.stack([v for name, v in grads.items() if name.startswith(("unique", "task_vector"))])
    assert share == pytest.approx((own.norm() / torch.stack(list(grads.values())).norm()).item(), rel=1e-5)


def test_no_gradient_share_without_a_unique_branch(make_learner: Callable, make_batch: Callable) -> None:
    learner = make_learner(method_config("shared-only"))
    learner.update(make_batch((3, 1, 4)))
    assert unique_gradient_share(learner.actor) == {}
