"""What the autoscaler of a Ray cluster is doing: the machines that it launches, and whether there is one at all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import ray
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.experimental.internal_kv import _internal_kv_get

ANSWER_S = 3
OF_NO_TYPE = "node_"  # begins the type of a node that was started by hand


class Launches(NamedTuple):
    """The news of an autoscaler; those of none have nothing in them."""

    launching: Mapping[str, int] = {}  # by the type of machine
    is_autoscaled: bool = False  # known for sure; an autoscaler that has launched nothing yet may go unseen
    failure: str | None = None  # of the latest launch that failed


def read_launches() -> Launches:
    """Read the autoscaler's own account, of either of Ray's two; where there is none, no news."""
    try:
        return _of_second() if is_autoscaler_v2(fetch_from_server=True) else _of_first()
    except Exception:  # of an interface that Ray calls alpha: news are worth no run
        return Launches()


def _of_second() -> Launches:
    status = get_cluster_status(ray.get_runtime_context().gcs_address, ANSWER_S)
    launching = Counter[str]()
    for request in status.pending_launches:
        launching[request.ray_node_type_name] += request.count
    launching.update(node.ray_node_type_name for node in status.pending_nodes)
    nodes = (*status.active_nodes, *status.idle_nodes, *status.pending_nodes)
    failures = [f"{failed.ray_node_type_name}: {failed.details}" for failed in status.failed_launches]
    return _launches(launching, [node.ray_node_type_name for node in nodes], failures)


def _of_first() -> Launches:
    report: dict[str, Any] = json.loads(_internal_kv_get(DEBUG_AUTOSCALING_STATUS))["autoscaler_report"]
    launching = Counter[str](report["pending_launches"])
    launching.update(node_type for _, node_type, _ in report["pending_nodes"])
    return _launches(launching, [*report["active_nodes"]], [])


def _launches(launching: Counter[str], node_types: list[str], failures: list[str]) -> Launches:
    real = {name: count for name, count in launching.items() if count > 0}
    is_autoscaled = bool(real) or any(not name.startswith(OF_NO_TYPE) for name in node_types)
    return Launches(real, is_autoscaled, failures[-1] if failures else None)
