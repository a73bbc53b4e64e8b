"""How many parameters a configuration's networks have, counted without building them."""

from __future__ import annotations

from typing import NamedTuple

from learner.network_config import NetworkConfig
from learner.network_layout import NetworkLayout, actor_layout, critic_layout
from replay_service.types import TransitionSpec


class ParameterCount(NamedTuple):
    """Trained parameters; target critics, which copy, and the temperatures are not counted."""

    actor: int
    critics: int  # both

    @property
    def total(self) -> int:
        """Parameters of actor and critics together."""
        return self.actor + self.critics


def count_parameters(network: NetworkConfig, spec: TransitionSpec) -> ParameterCount:
    """Count the parameters of the actor and of both critics."""
    return ParameterCount(_count(actor_layout(network, spec)), _count(critic_layout(network, spec)))


def _count(layout: NetworkLayout) -> int:
    """Sum over w and z of every task and all layers' pools, whose matrices have in + 1 rows."""
    pools = sum(layer.slices * (layer.fan_in + 1) * layer.fan_out for layer in layout.layers)
    return layout.ensemble * (layout.num_tasks * (layout.mix_slices + layout.task_dim) + pools)
