"""What the learner computes on, and which of the ways of a GPU it takes there."""

from __future__ import annotations

from typing import NamedTuple

import torch

from actors.free_memory import free_memory_bytes
from learner.config import LearnerConfig
from learner.mirror_size import mirror_bytes
from stars_dist.config.run_plan import RunPlan

ROOM_FOR_UPDATES = 0.9  # share of a device's free memory that a mirror may take


class DeviceUse(NamedTuple):
    """What a configuration comes to on a device."""

    device: torch.device
    is_static: bool
    uses_graph: bool
    uses_mirror: bool


def choose_device(device: str) -> torch.device:
    """Choose where to compute: `auto` is a GPU where there is one; ValueError for `cuda` without one."""
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ValueError(
            "device cuda needs a GPU that torch can use, it finds none; use --device cpu or auto"
        )
    return torch.device("cuda" if has_gpu and device != "cpu" else "cpu")


def device_use(plan: RunPlan, device: torch.device) -> DeviceUse:
    """Return how the learner of a plan computes on a device.

    Raises:
        ValueError: the device has no graphs, the mirror does not fit it, or either is asked for without static shapes.
    """
    config = plan.config.learner
    if config.cuda_graph == "on" and device.type != "cuda":
        raise ValueError(
            "learner.cuda_graph on needs a GPU, the learner computes on the CPU; use --set learner.cuda_graph=auto"
        )
    is_static = _is_on(config.static_shapes, device) or "on" in (config.cuda_graph, config.replay_mirror)
    _check_static(config)
    _check_alone(config)
    is_off, is_alone = config.static_shapes == "off", config.num_learners == 1
    use = DeviceUse(
        device,
        is_static and not is_off,
        _is_on(config.cuda_graph, device) and not is_off and is_alone,
        _is_on(config.replay_mirror, device) and not is_off and is_alone,
    )
    if use.uses_mirror:
        _check_memory(plan, device)
    return use


def check_device(plan: RunPlan, on_gpu: bool) -> None:
    """Raise ValueError where the learner of a plan cannot compute as it is configured, as `device_use` does."""
    device_use(plan, torch.device("cuda" if on_gpu else "cpu"))


def _is_on(switch: str, device: torch.device) -> bool:
    return switch == "on" or (switch == "auto" and device.type == "cuda")


def _check_static(config: LearnerConfig) -> None:
    for name in ("cuda_graph", "replay_mirror"):
        if getattr(config, name) == "on" and config.static_shapes == "off":
            raise ValueError(
                f"learner.{name} on needs static shapes, got learner.static_shapes off; use --set "
                "learner.static_shapes=auto"
            )


def _check_alone(config: LearnerConfig) -> None:
    """Of several learners each draws from the shards and launches what it computes."""
    for name in ("cuda_graph", "replay_mirror"):
        if getattr(config, name) == "on" and config.num_learners > 1:
            raise ValueError(
                f"learner.{name} on is for one learner, got learner.num_learners {config.num_learners}; use --set "
                f"learner.{name}=auto"
            )


def _check_memory(plan: RunPlan, device: torch.device) -> None:
    capacity = plan.replay.replay.capacity_per_task
    needed, free = mirror_bytes(plan.replay.spec, capacity), free_bytes(device)
    most = int(ROOM_FOR_UPDATES * free)
    if needed > most:
        fitting = int(capacity * most / needed)
        raise ValueError(
            f"the mirror of the replay must fit {device.type} memory, it needs {needed:,} bytes and {free:,} are free; "
            f"use --set learner.replay_mirror=off, or replay.capacity_per_task of at most {fitting}"
        )


def free_bytes(device: torch.device) -> int:
    """Return the free memory of a device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else int(free_memory_bytes())
