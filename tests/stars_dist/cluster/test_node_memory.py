"""The memory of a cluster's nodes, asked on each of them, and a run whose actors do not fit into it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from math import inf

import pytest
import ray

from actors.free_memory import free_memory_bytes
from stars_dist.cluster import actor_memory, node_memory, reservation
from stars_dist.cluster.node_memory import look
from stars_dist.cluster.node_room import read_room
from stars_dist.cluster.reservation import reserve
from stars_dist.config.merge import resolve, set_layer


@pytest.fixture
def two_nodes() -> Iterator[None]:
    """A cluster of two nodes of this machine, which was started by somebody else."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.cluster
def test_all_nodes_are_asked_where_one_is_too_small_and_actors_that_none_holds_are_refused(
    two_nodes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_memory, "ANSWER_S", 120.0)  # of a machine with much else to do
    assert read_room(False, 1.0).nodes_free_bytes == (), "this node holds them all"
    room = read_room(False, inf)
    assert room.nodes_free_bytes == pytest.approx([free_memory_bytes()] * 2, rel=0.5) and not room.may_grow
    monkeypatch.setattr(reservation, "FREED_S", 0.1)
    monkeypatch.setattr(actor_memory, "LEAST_ACTOR_BYTES", 2**50)
    plan = resolve([set_layer("suite=toy:4"), set_layer("actors.num_actors=3")]).plan
    with pytest.raises(
        ValueError, match=r"got 3 actors of at least .* free on 2 nodes of the cluster, room for 0"
    ):
        reserve(plan, is_own=False)
    assert ray.available_resources()["CPU"] == 3.0, "nothing is reserved"


def test_an_autoscaler_that_has_launched_nothing_yet_is_known_by_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    option = f"--of-test-{os.getpid()}-config="  # and of no cluster
    monkeypatch.setattr(node_memory, "AUTOSCALING", option)
    assert not look().has_autoscaler
    with subprocess.Popen([sys.executable, "-c", "input()", option], stdin=subprocess.PIPE):
        assert look().has_autoscaler
