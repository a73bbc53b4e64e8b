"""The room on the nodes of a Ray cluster, read from Ray."""

from __future__ import annotations

from typing import Any, NamedTuple

import ray
from ray._private import state

from actors.free_memory import free_memory_bytes
from stars_dist.cluster.node_memory import ClusterMemory, read_memory
from stars_dist.cluster.placement import Room


class NodeCores(NamedTuple):
    """The cores of a node, as Ray counts them."""

    installed: float
    free: float  # of which no process asks for a share


def read_cores() -> dict[str, NodeCores]:
    """Return the cores of each living node, by its id."""
    installed: Any = state.total_resources_per_node()
    free: Any = state.available_resources_per_node()
    return {
        node: NodeCores(resources.get("CPU", 0.0), free.get(node, {}).get("CPU", 0.0))
        for node, resources in installed.items()
    }


def read_room(is_own: bool, least_bytes: float = 0.0) -> Room:
    """Read what the cluster has and what is free of it.

    `least_bytes` is what the run's actors take: where it is not free on this node alone, all are asked.
    """
    here = ray.get_runtime_context().get_node_id()
    installed: Any = state.total_resources_per_node().get(here, {})
    free: Any = state.available_resources_per_node().get(here, {})
    cores, cluster = read_cores(), ray.cluster_resources()
    free_bytes = free_memory_bytes()
    nodes = read_memory() if not is_own and least_bytes > free_bytes else ClusterMemory((), False)
    return Room(
        is_own,
        free_cpus=free.get("CPU", 0.0),
        free_gpus=free.get("GPU", 0.0),
        cpus=installed.get("CPU", 0.0),
        gpus=installed.get("GPU", 0.0),
        other_free_cpus=tuple(node.free for name, node in cores.items() if name != here),
        cluster_cpus=cluster.get("CPU", 0.0),
        cluster_gpus=cluster.get("GPU", 0.0),
        free_bytes=free_bytes,
        nodes_free_bytes=nodes.free_bytes,
        may_grow=nodes.may_grow,
    )
