"""Where services run on a cluster of two nodes: on the program's own, beside the run directory, over restarts too."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from tests.stars_dist.cluster.test_actors import Run, start

__all__ = ["start"]

SERVICES = ("Coordinator", "LearnerProcess", "Shard")


@pytest.fixture
def small_head() -> Iterator[Any]:
    """A cluster whose first node, where programs run, has one core, and whose other has eight."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=8)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def living_services(cluster: Any) -> dict[int, tuple[str, bool]]:
    """Class of each service by process id, and whether it is on the head."""
    from ray._private import state

    head = cluster.head_node.node_id
    return {
        actor["Pid"]: (actor["ActorClassName"], actor["Address"]["NodeID"] == head)
        for actor in state.actors().values()
        if actor["State"] == "ALIVE" and actor["ActorClassName"] in SERVICES
    }


@pytest.mark.cluster
@pytest.mark.chaos
@pytest.mark.slow
def test_learner_shards_and_coordinator_stay_on_the_programs_node(
    small_head: Any, start: Callable[..., Run]
) -> None:
    run = start("--suite", "toy:2", "--actors", "2", "--steps", "1000000", "--address", small_head.address)
    run.wait_for(lambda: run.inserted().min() > 400)
    before = living_services(small_head)
    assert sorted(before.values()) == [(name, True) for name in SERVICES]
    for pid in before:
        psutil.Process(pid).send_signal(signal.SIGKILL)
    run.wait_for(
        lambda: len(living_services(small_head)) == 3 and not before.keys() & living_services(small_head)
    )
    assert sorted(living_services(small_head).values()) == [(name, True) for name in SERVICES]
    inserted = run.inserted()
    run.wait_for(lambda: (run.inserted() > inserted + 200).all())
