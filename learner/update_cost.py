"""The arithmetic of an update, estimated from a configuration without building its networks."""

from __future__ import annotations

from learner.network_config import NetworkConfig
from learner.network_layout import NetworkLayout, actor_layout, critic_layout
from replay_service.types import TransitionSpec


def update_flop(network: NetworkConfig, spec: TransitionSpec, rows: int) -> float:
    """Estimate the floating-point operations of an update's products for a batch of `rows`.

    A backward pass costs as much as two forward ones. The actor runs at next_obs, and forward and backward at obs;
    the critics as targets, forward and backward, and forward and back to the action for the actor.
    """
    actor, critics = (_products_per_row(layout(network, spec)) for layout in (actor_layout, critic_layout))
    return 2.0 * rows * (4 * actor + 6 * critics)


def _products_per_row(layout: NetworkLayout) -> int:
    """Count the multiplications of a forward pass of one row, all members together."""
    return layout.ensemble * sum(layer.fan_in * layer.fan_out for layer in layout.layers)
