"""Layouts against sizes worked by hand, and the parameter count against networks that are built."""

from __future__ import annotations

import pytest
import torch

from learner.network_layout import LayerLayout, actor_layout, critic_layout
from learner.networks import actor_network, critic_network
from learner.parameter_count import count_parameters
from replay_service.types import TransitionSpec
from tests.learner.conftest import VARIANTS, method_config

SPEC = TransitionSpec(num_tasks=4, obs_dim=5, action_dim=2)


def test_actor_with_both_branches() -> None:
    """Trunk [5] -> 16 -> 12 of three slices; unique [5 + 3] -> 12 -> 6; head [12 + 6] -> 2 x 2."""
    layout = actor_layout(method_config("stars"), SPEC)
    assert (layout.ensemble, layout.mix_slices, layout.task_dim, layout.one_hot) == (1, 3, 3, False)
    assert layout.layers == (
        LayerLayout("shared/0", "shared", "composed", 3, 5, 16),
        LayerLayout("shared/1", "shared", "composed", 3, 16, 12),
        LayerLayout("unique/0", "unique", "shared", 1, 8, 12),
        LayerLayout("unique/1", "unique", "shared", 1, 12, 6),
        LayerLayout("head", "head", "composed", 3, 18, 4),
    )


def test_critic_s_trunk_reads_the_action_and_its_unique_branch_does_not() -> None:
    layout = critic_layout(method_config("stars"), SPEC)
    assert layout.ensemble == 2
    assert (layout.shared[0].fan_in, layout.unique[0].fan_in) == (7, 8)
    assert (layout.head.fan_in, layout.head.fan_out) == (16, 1)


def test_unique_branch_reads_the_action_where_there_is_no_trunk() -> None:
    layout = critic_layout(method_config("unique-only"), SPEC)
    assert (layout.shared, layout.mix_slices, layout.unique[0].fan_in) == ((), 0, 10)


def test_plain_trunk_with_the_task_as_one_hot() -> None:
    layout = critic_layout(method_config("mtsac"), SPEC)
    assert layout.one_hot and layout.mix_slices == layout.task_dim == 0
    assert layout.shared[0] == LayerLayout("shared/0", "shared", "shared", 1, 5 + 2 + 4, 14)
    assert layout.head.slices == 1


def test_head_per_task_has_a_slice_of_each() -> None:
    assert actor_layout(method_config("mtmhsac"), SPEC).head.slices == 4


def test_layer_norm_is_the_critics_alone() -> None:
    config = method_config("stars-layer-norm")
    assert critic_layout(config, SPEC).layer_norm and not actor_layout(config, SPEC).layer_norm


@pytest.mark.parametrize("method", VARIANTS)
def test_count_is_that_of_the_networks(method: str) -> None:
    config, generator = method_config(method), torch.Generator()
    networks = (actor_network(config, SPEC, generator), critic_network(config, SPEC, generator))
    counts = count_parameters(config, SPEC)
    assert [sum(p.numel() for p in network.parameters()) for network in networks] == [*counts]
