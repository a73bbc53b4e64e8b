"""The layout of a network: its layers and their pools of slices, derived once for all who need it.

Building (networks.py), counting (parameter_count.py) and exporting (publisher.py) read it; no torch is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from learner.network_config import NetworkConfig
from replay_service.types import TransitionSpec

Branch = Literal["shared", "unique", "head"]
Pooling = Literal["composed", "shared", "per_task"]


class LayerLayout(NamedTuple):
    """A layer as a pool of slices f32[E, K, in + 1, out]; the last of the in + 1 rows is the bias."""

    name: str  # its key in a published policy
    branch: Branch
    pooling: Pooling  # a task's matrix: slices mixed by w, one slice for all tasks, or a slice per task
    slices: int  # K
    fan_in: int  # with the components that the layer reads of a task
    fan_out: int


class NetworkLayout(NamedTuple):
    """What the actor's network, or the critics', is made of."""

    ensemble: int  # E, members computed as one batched product
    num_tasks: int
    one_hot: bool  # whether the trunk reads the task as a one-hot vector
    task_dim: int  # Z, components of the task vector z; 0 without a unique branch
    layer_norm: bool  # before every relu
    shared: tuple[LayerLayout, ...]  # empty without the branch
    unique: tuple[LayerLayout, ...]
    head: LayerLayout

    @property
    def layers(self) -> tuple[LayerLayout, ...]:
        """All layers: shared, unique, head."""
        return (*self.shared, *self.unique, self.head)

    @property
    def mix_slices(self) -> int:
        """K of the mixing weights w, f32[E, T, K]; 0 where there is no w."""
        return self.shared[0].slices if self.shared and self.shared[0].pooling == "composed" else 0


def actor_layout(config: NetworkConfig, spec: TransitionSpec) -> NetworkLayout:
    """Lay out the policy's network: E = 1, outputs mean and log std. No LayerNorm: actors run plain numpy."""
    return _layout(config, spec, config.actor_hidden, outputs=2 * spec.action_dim)


def critic_layout(config: NetworkConfig, spec: TransitionSpec) -> NetworkLayout:
    """Lay out the twin critics Q(s, a), one ensemble of two."""
    hidden = config.critic_layers(spec.num_tasks)
    layout = _layout(config, spec, hidden, outputs=1, action_input=spec.action_dim)
    return layout._replace(ensemble=2, layer_norm=config.critic_layer_norm)


def _layout(
    config: NetworkConfig, spec: TransitionSpec, hidden: Sequence[int], outputs: int, action_input: int = 0
) -> NetworkLayout:
    """Lay out a network of one member: its trunk reads the action, or its unique branch if there is no trunk."""
    shared, unique, tasks = config.shared, config.unique, spec.num_tasks
    slices = {"composed": config.num_slices(tasks), "shared": 1, "per_task": tasks}
    one_hot = shared.enabled and shared.task_input == "one_hot"
    trunk: tuple[LayerLayout, ...] = ()
    unique_layers: tuple[LayerLayout, ...] = ()
    if shared.enabled:
        fan_in = spec.obs_dim + action_input + (tasks if one_hot else 0)
        pooling = "composed" if shared.kind == "composed" else "shared"
        trunk = _stack("shared", pooling, slices[pooling], (fan_in, *hidden))
    if unique.enabled:
        state = spec.obs_dim if shared.enabled else spec.obs_dim + action_input
        unique_layers = _stack("unique", "shared", 1, (state + unique.task_dim, *unique.hidden, unique.dim))
    features = sum(layers[-1].fan_out for layers in (trunk, unique_layers) if layers)
    head = LayerLayout("head", "head", config.head, slices[config.head], features, outputs)
    task_dim = unique.task_dim if unique.enabled else 0
    return NetworkLayout(1, tasks, one_hot, task_dim, False, trunk, unique_layers, head)


def _stack(branch: Branch, pooling: Pooling, slices: int, widths: Sequence[int]) -> tuple[LayerLayout, ...]:
    return tuple(
        LayerLayout(f"{branch}/{i}", branch, pooling, slices, fan_in, fan_out)
        for i, (fan_in, fan_out) in enumerate(pairwise(widths))
    )
