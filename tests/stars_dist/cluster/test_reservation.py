"""What a run reserves on its node of a cluster that others use too: its cores are its own while a process is away."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

import pytest
import ray
from ray.exceptions import RayActorError

from stars_dist.cluster import reservation
from stars_dist.cluster.cluster import RunningProcess, find_places, name_of
from stars_dist.cluster.node_room import read_cores, read_room
from stars_dist.cluster.reservation import reserve
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.run_plan import RunPlan


class Service:
    """A process that tells its id, as a shard could."""

    def pid(self) -> int:
        return os.getpid()


@pytest.fixture
def two_cores() -> Iterator[None]:
    """A cluster of one node with two cores, which was started by somebody else."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    ray.init(address=cluster.address, log_to_driver=False)
    yield
    ray.shutdown()
    cluster.shutdown()


def eventually(condition: Callable[[], object], timeout_s: float = 120.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
    return bool(condition())


def pid_of(handle: Any) -> int:
    try:
        return ray.get(handle.pid.remote())
    except RayActorError:  # while it starts again
        return 0


def plan(*sets: str) -> RunPlan:
    return resolve([*map(set_layer, ("suite=toy:10", "actors.num_actors=3", *sets))]).plan


@pytest.mark.cluster
def test_the_core_of_a_service_waits_for_it_and_no_actor_takes_it(
    two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved = reserve(plan(), is_own=False)
    assert reserved.placement.service_cpus == 0.5 and reserved.placement.actor_cpus == 1.0
    assert [node.free for node in read_cores().values()] == [1.0]
    assert 0 < read_room(False).free_bytes < inf
    remote: Any = ray.remote(Service)
    shard = remote.options(max_restarts=-1, **reserved.of_shard(0)).remote()
    actors = [RunningProcess(remote.options(num_cpus=1).remote(), None, 1.0) for _ in range(3)]
    before: Any = ray.get(shard.pid.remote())
    assert eventually(lambda: len(find_places(actors)) == 1)
    os.kill(before, signal.SIGKILL)
    assert eventually(lambda: pid_of(shard) not in (0, before)), "it has come back"
    assert len(find_places(actors)) == 1 and read_room(False).free_cpus == 0.0
    assert set(find_places(actors)) <= {name_of(actor) for actor in actors}
    monkeypatch.setattr(reservation, "FREED_S", 0.1)
    with pytest.raises(
        ValueError, match=r"shards \(10\) need 0.25 .* 2.75 in all, 0 of its 2 are free; start it when"
    ):
        reserve(plan("replay.num_shards=10"), is_own=False)
