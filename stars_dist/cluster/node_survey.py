"""A survey of a Ray cluster: what each node has installed and free, asked on the node itself."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from typing import Any, NamedTuple

import ray
from ray.exceptions import GetTimeoutError

from actors.cores import num_cores
from actors.free_memory import free_memory_bytes
from stars_dist.cluster.connection import connect
from stars_dist.cluster.node_questions import ask_nodes

ANSWER_S = 60.0
PACKAGES = ("stars-dist", "ray", "torch", "numpy", "metaworld", "mujoco")


class NodeAnswer(NamedTuple):
    """What a node says of itself."""

    python: str
    versions: dict[str, str]  # of PACKAGES, "absent" where one is not installed
    cores: int  # that its processes may use
    memory_bytes: int  # available
    shm_bytes: int  # of /dev/shm, in all
    auth_mode: str


class SurveyedNode(NamedTuple):
    """A node of the cluster."""

    address: str
    cpus: float  # that Ray hands out there
    gpus: float
    is_here: bool
    answer: NodeAnswer | None  # None: it did not answer
    failure: str = ""


def survey(address: str) -> list[SurveyedNode]:
    """Ask every living node of a cluster that runs already; ValueError where there is none."""
    connect(address, 0)
    here = ray.get_runtime_context().get_node_id()
    answers = ask_nodes(answer, ANSWER_S)
    nodes = [node for node in ray.nodes() if node["NodeID"] in answers]
    return [_surveyed(node, answers[node["NodeID"]], here) for node in nodes]


def answer() -> NodeAnswer:
    """Describe the node that this is called on."""
    shm = shutil.disk_usage("/dev/shm").total if os.path.isdir("/dev/shm") else 0  # noqa: PTH112 -- pickled
    return NodeAnswer(
        platform.python_version(),
        {name: _version(name) for name in PACKAGES},
        num_cores(),
        int(free_memory_bytes()),
        shm,
        os.environ.get("RAY_AUTH_MODE", ""),
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _surveyed(node: dict[str, Any], found: NodeAnswer | Exception, here: str) -> SurveyedNode:
    resources, address, is_here = node["Resources"], node["NodeManagerAddress"], node["NodeID"] == here
    answered, failure = (None, _words(found)) if isinstance(found, Exception) else (found, "")
    return SurveyedNode(address, resources.get("CPU", 0), resources.get("GPU", 0), is_here, answered, failure)


def _words(error: Exception) -> str:
    if isinstance(error, GetTimeoutError):
        return f"no answer within {ANSWER_S:.0f} s"
    return str(error).strip().splitlines()[-1]
