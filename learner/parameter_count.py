"""How many parameters a configuration's networks have, counted without building them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from learner.config import NetworkConfig
from replay_service.types import TransitionSpec

_CRITICS = 2


class ParameterCount(NamedTuple):
    """Trained parameters; target critics, which copy, and the temperatures are not counted."""

    actor: int
    critics: int  # both

    @property
    def total(self) -> int:
        return self.actor + self.critics


def count_parameters(network: NetworkConfig, spec: TransitionSpec) -> ParameterCount:
    """The parameters of the actor and of both critics."""
    critic_hidden = network.critic_layers(spec.num_tasks)
    actor = _count(network, spec, network.actor_hidden, 0, 2 * spec.action_dim)
    return ParameterCount(actor, _CRITICS * _count(network, spec, critic_hidden, spec.action_dim, 1))


def _count(
    network: NetworkConfig, spec: TransitionSpec, hidden: Sequence[int], action_input: int, outputs: int
) -> int:
    """One network of one member; every layer has in + 1 rows, the last its bias."""
    count = features = 0
    slices, tasks = network.num_slices(spec.num_tasks), spec.num_tasks
    state_action = spec.obs_dim + action_input
    if network.shared.enabled:
        one_hot = tasks if network.shared.task_input == "one_hot" else 0
        count += slices * _stack(state_action + one_hot, hidden)
        count += tasks * slices if network.shared.kind == "composed" else 0
        features += hidden[-1]
    if network.unique.enabled:
        unique = network.unique
        state = spec.obs_dim if network.shared.enabled else state_action
        count += tasks * unique.task_dim + _stack(state + unique.task_dim, (*unique.hidden, unique.dim))
        features += unique.dim
    heads = {"composed": slices, "shared": 1, "per_task": tasks}[network.head]
    return count + heads * (features + 1) * outputs


def _stack(fan_in: int, widths: Sequence[int]) -> int:
    inputs = (fan_in, *widths)
    return sum((before + 1) * after for before, after in zip(inputs, widths, strict=False))
