"""The step of a network: its gradient is clipped to a norm of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from learner.config import SacConfig


def test_gradients_are_clipped_by_network(make_learner: Callable, make_batch: Callable) -> None:
    learner = make_learner(sac=SacConfig(gradient_clip_norm=0.01))
    result = learner.update(make_batch((3, 1, 4)))
    for network, norm in (
        (learner.critic, result.critic.gradient_norm),
        (learner.actor, result.actor.gradient_norm),
    ):
        clipped = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
        assert norm > 0.01
        assert clipped.item() == pytest.approx(0.01, rel=1e-3)
