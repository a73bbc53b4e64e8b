"""The greeting of a Ray cluster: whether it answers and lets this process in, before Ray itself tries for long."""

from __future__ import annotations

import socket
from typing import Any, NamedTuple

import grpc
import ray
from ray._private import services
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from stars_dist.cluster.auth_token import TOKEN, TOKEN_PATH, asks_for_token

ANSWER_TIMEOUT_S = 5.0
ELSEWHERE = "use auto or local"
_MESSAGES: Any = gcs_service_pb2  # generated, of which pyright knows nothing


class Refusal(NamedTuple):
    """Why a cluster cannot be joined, and what helps."""

    reason: str
    remedy: str


def refusal(address: str) -> Refusal | None:
    """Find why a run cannot join the cluster at host:port; None if it can."""
    silence = silence_of(address)
    return _greet(address) if silence is None else Refusal(silence, ELSEWHERE)


def silence_of(address: str) -> str | None:
    """Find why nobody answers at host:port; None if somebody does."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        return "no port"
    try:
        with socket.create_connection((host, int(port)), timeout=ANSWER_TIMEOUT_S):
            return None
    except (OSError, OverflowError) as error:
        return str(error)


def _greet(address: str) -> Refusal | None:
    """Ask the cluster for its nodes as Ray will: with the token, if this process has one."""
    channel = init_grpc_channel(address)
    try:
        service = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
        nodes = service.GetAllNodeInfo(_MESSAGES.GetAllNodeInfoRequest(), timeout=ANSWER_TIMEOUT_S)
        alive = service.CheckAlive(_MESSAGES.CheckAliveRequest(), timeout=ANSWER_TIMEOUT_S)
    except grpc.RpcError as error:
        return _refused(error)
    finally:
        channel.close()
    if alive.ray_version != ray.__version__:
        return Refusal(
            f"it runs Ray {alive.ray_version}, this is {ray.__version__}",
            f"start it anew with Ray {ray.__version__}, or {ELSEWHERE}",
        )
    here = set(services.find_node_ids())
    if here.isdisjoint(node.node_id.hex() for node in nodes.node_info_list):
        return Refusal(
            "none of its nodes is on this machine",
            "start the run on one of them, or send it there with `ray job submit`",
        )
    return None


def _refused(error: grpc.RpcError) -> Refusal:
    if error.code() is not grpc.StatusCode.UNAUTHENTICATED:  # type: ignore[attr-defined] -- of every call's error
        return Refusal(f"what answers there is no Ray: {error.code().name}", ELSEWHERE)  # type: ignore[attr-defined]
    if asks_for_token():
        return Refusal(
            "it does not take this process's token",
            f"give the cluster's own in ~/.ray/auth_token, {TOKEN_PATH} or {TOKEN}",
        )
    return Refusal(
        "it asks for a token, and this process sends none",
        f"set RAY_AUTH_MODE=token, with the token in ~/.ray/auth_token, {TOKEN_PATH} or {TOKEN}",
    )
