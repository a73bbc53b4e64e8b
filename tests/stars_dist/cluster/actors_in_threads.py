"""A run whose actors are threads of a few processes, so that a small machine holds five hundred of them.

All else is as it is: the supervisor, coordinator, shards and learner, and what each actor steps, sends and asks.
"""

from __future__ import annotations

from typing import Any

import ray

from stars_dist.cluster import actor_memory, distributed_run
from stars_dist.cluster.cluster import Cluster, RunningProcess
from stars_dist.cluster.processes import RolloutProcess

ACTORS_PER_PROCESS = 50


class ActorHost:
    """A process with a thread for each of its actors."""

    def run_actor(self, *arguments: Any) -> None:
        RolloutProcess(*arguments).run()


class ThreadedCluster(Cluster):
    """Starts actors in the process that their number gives."""

    def start_actor(self, actor: int, incarnation: int, cpus: float) -> RunningProcess:
        hosts: dict[int, Any] = self.__dict__.setdefault("hosts", {})
        index = actor // ACTORS_PER_PROCESS
        if index not in hosts:
            options = {"num_cpus": 0, "max_concurrency": ACTORS_PER_PROCESS}
            hosts[index] = ray.remote(ActorHost).options(**options).remote()
        arguments = (self._run_dir, self._plan, actor, incarnation, self.shards, self.coordinator)
        return RunningProcess(hosts[index], hosts[index].run_actor.remote(*arguments), cpus)


def install() -> None:
    """Have the next run of this program start its actors so."""
    distributed_run.Cluster = ThreadedCluster  # type: ignore[misc]
    actor_memory.LEAST_ACTOR_BYTES //= ACTORS_PER_PROCESS
