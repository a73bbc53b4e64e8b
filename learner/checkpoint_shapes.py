"""Whether a checkpoint is of the networks that a configuration describes, told from shapes before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learner.network_config import NetworkConfig
from learner.network_layout import NetworkLayout, actor_layout, critic_layout
from replay_service.types import TransitionSpec


def check_shapes(learner: Mapping[str, Any], network: NetworkConfig, spec: TransitionSpec) -> None:
    """Check the networks of a learner's state.

    Raises:
        ValueError: one has other tensors than the configuration's; names the first of them.
    """
    layouts = {"actor": actor_layout(network, spec), "critic": critic_layout(network, spec)}
    for part, layout in layouts.items():
        found = {name: tuple(tensor.shape) for name, tensor in learner[part].items()}
        expected = _shapes(layout)
        for name in sorted(found.keys() | expected.keys()):
            if found.get(name) != expected.get(name):
                raise ValueError(
                    f"a checkpoint must be of the configured networks, its {part} has {name} of shape "
                    f"{found.get(name, 'none')} and the configuration {expected.get(name, 'none')}; resume with the "
                    "config.yaml of its own run"
                )


def _shapes(layout: NetworkLayout) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by its name in a checkpoint."""
    shapes: dict[str, tuple[int, ...]] = {}
    members, tasks = layout.ensemble, layout.num_tasks
    if layout.mix_slices:
        shapes["mix"] = (members, tasks, layout.mix_slices)
    if layout.task_dim:
        shapes["task_vector"] = (members, tasks, layout.task_dim)
    for branch in (layout.shared, layout.unique):
        for index, layer in enumerate(branch):
            shapes[f"{layer.branch}.{index}"] = (members, layer.slices, layer.fan_in + 1, layer.fan_out)
    head = layout.head
    shapes["head"] = (members, head.slices, head.fan_in + 1, head.fan_out)
    return shapes
