"""A question to every node of a Ray cluster, which is answered on the node itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def ask_nodes(question: Callable[[], Any], timeout_s: float) -> dict[str, Any]:
    """Return the answer of each living node by its id, or the error for which there is none; nothing goes on after."""
    asked = {node["NodeID"]: _ask(question, node["NodeID"]) for node in ray.nodes() if node["Alive"]}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=timeout_s)
    return {node: _answer(reference) for node, reference in asked.items()}


def _ask(question: Callable[[], Any], node_id: str) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return ray.remote(question).options(num_cpus=0, scheduling_strategy=strategy, max_retries=0).remote()


def _answer(reference: Any) -> Any:
    try:
        return ray.get(reference, timeout=0.1)
    except GetTimeoutError as error:
        ray.cancel(reference, force=True)
        return error
    except RayError as error:
        return error
