"""A fused forward pass's memory: what the backward pass needs is freed with its outputs."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch

from learner.networks import critic_network
from replay_service.types import TransitionSpec
from tests.learner.conftest import ACTION_DIM, OBS_DIM, SMALL, network_input


def test_outputs_are_freed_with_their_last_reference(make_batch: Callable) -> None:
    """An output that its own tape holds is a cycle through autograd: every update would leak its activations."""
    batch = make_batch((2, 5, 3))
    network = critic_network(SMALL, TransitionSpec(3, OBS_DIM, ACTION_DIM), torch.Generator().manual_seed(0))
    value, unique = network(network.compose().leaves(), network_input(batch), batch.action)
    assert value.grad_fn is not None and unique is not None
    held = [weakref.ref(tensor) for tensor in (value, unique, value.grad_fn)]
    del value, unique
    assert [reference() for reference in held] == [None, None, None]
