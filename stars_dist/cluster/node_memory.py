"""The memory that is free on the nodes of a Ray cluster, and whether an autoscaler may add more of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import psutil

from actors.free_memory import free_memory_bytes
from stars_dist.cluster.launches import read_launches
from stars_dist.cluster.node_questions import ask_nodes

ANSWER_S = 10.0
# Of Ray's monitor, which every cluster has, where it may launch machines.
AUTOSCALING = "--autoscaling-config="


class NodeMemory(NamedTuple):
    """What a node says of its memory."""

    free_bytes: float
    has_autoscaler: bool  # runs there


class ClusterMemory(NamedTuple):
    """The memory of all nodes."""

    free_bytes: tuple[float, ...]  # of each; inf: of one that did not answer it is not known
    may_grow: bool


def read_memory() -> ClusterMemory:
    """Ask every node what is free there: Ray knows only what was free when it started."""
    answers = ask_nodes(look, ANSWER_S).values()
    known = [answer for answer in answers if isinstance(answer, NodeMemory)]
    silent = [inf] * (len(answers) - len(known))
    may_grow = any(node.has_autoscaler for node in known) or read_launches().is_autoscaled
    return ClusterMemory((*(node.free_bytes for node in known), *silent), may_grow)


def look() -> NodeMemory:
    """Look at the node that this is called on."""
    commands: list[Sequence[str] | None] = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"])]
    has_autoscaler = any(word.startswith(AUTOSCALING) for command in commands for word in command or ())
    return NodeMemory(free_memory_bytes(), has_autoscaler)
