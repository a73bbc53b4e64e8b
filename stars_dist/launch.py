"""Places and wires the processes of a distributed run on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from replay_service.transport import ray_shard_class
from stars_dist.config import RunConfig
from stars_dist.exchange import Exchange
from stars_dist.processes import LearnerProcess, RolloutProcess
from stars_dist.replay_storage import snapshot_store
from stars_dist.run_directory import RunDirectory

SPARE_CPUS = 0.5  # of the cluster, left to services when actors share the cores
STARTING_ACTORS_PER_CORE = 25  # those that are up already step, so fewer keep the last ones waiting longer
RESERVED_SERVICE_CALLS = 16  # threads of a shard beyond those that waiting inserts may hold


class Placement(NamedTuple):
    """What the processes ask of the cluster."""

    cluster_cpus: float
    actor_cpus: float
    service_cpus: float  # of the learner and of each shard
    learner_gpus: int

    @property
    def shares_cores(self) -> bool:
        return self.actor_cpus < 1


class Supervised(NamedTuple):
    """A process whose `run` is under way."""

    handle: Any
    run: Any  # reference that is done when `run` has returned or failed


def place(config: RunConfig, resources: Mapping[str, float]) -> Placement:
    """One core for each process where the cluster has them, else all share the cores.

    Raises:
        ValueError: the configuration needs a GPU and the cluster has none.
    """
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    if config.device == "cuda" and gpus < 1:
        raise ValueError("device cuda needs a GPU in the Ray cluster, it has 0; use --device cpu or auto")
    wanted = config.num_actors + config.replay_plan().num_shards + 1
    learner_gpus = 1 if gpus >= 1 and config.device != "cpu" else 0
    if wanted <= cpus:
        return Placement(cpus, 1.0, 1.0, learner_gpus)
    share = max(cpus - SPARE_CPUS, SPARE_CPUS) / config.num_actors
    return Placement(cpus, min(1.0, int(share * 1000) / 1000), 0.0, learner_gpus)


class Cluster:
    """The processes of one run. Shards and the exchange are restarted by Ray behind the same handle; actors
    and the learner are started anew by the supervisor, which counts their incarnations."""

    def __init__(self, config: RunConfig, run: RunDirectory, placement: Placement) -> None:
        self._config, self._placement = config, placement
        self._run_dir = run.path.resolve()
        self.exchange = _remote(Exchange).options(num_cpus=0, max_restarts=-1).remote()
        self.shards = self._start_shards(run)

    def _start_shards(self, run: RunDirectory) -> list[Any]:
        plan = self._config.replay_plan()
        waiting = plan.num_tasks * plan.replay.max_unacknowledged_chunks * self._actors_per_task
        shard_class = ray_shard_class(waiting + RESERVED_SERVICE_CALLS)
        # Beside the run directory: Ray would rather spread them over CPU nodes, which may be preempted.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        options = {"num_cpus": self._placement.service_cpus, "max_restarts": -1, "scheduling_strategy": here}
        places = (run.replay.resolve(), snapshot_store(run, self._config).directory)
        return [shard_class.options(**options).remote(i, plan, *places) for i in range(plan.num_shards)]

    @property
    def max_starting_actors(self) -> int:
        """How many actors may be starting at the same time."""
        return max(1, int(STARTING_ACTORS_PER_CORE * self._placement.cluster_cpus))

    @property
    def _actors_per_task(self) -> int:
        tasks = len(self._config.load_suite().tasks)
        return -(-max(self._config.num_actors, tasks) // tasks)

    def start_actor(self, actor: int, incarnation: int) -> Supervised:
        remote = _remote(RolloutProcess).options(num_cpus=self._placement.actor_cpus)
        handle = remote.remote(self._config, self._run_dir, actor, incarnation, self.shards, self.exchange)
        return Supervised(handle, handle.run.remote())

    def start_learner(self, checkpoint: Path | None) -> Supervised:
        remote = _remote(LearnerProcess).options(
            num_cpus=self._placement.service_cpus,
            num_gpus=self._placement.learner_gpus,
            max_concurrency=4,
        )
        learner = self._config.learner.model_copy(update={"torch_threads": self._learner_threads})
        config = self._config.model_copy(update={"learner": learner})
        handle = remote.remote(config, self._run_dir, self.shards, self.exchange, checkpoint)
        return Supervised(handle, handle.run.remote())

    @property
    def _learner_threads(self) -> int:
        """Half of this machine's cores on a CPU, where rollouts need the other half."""
        cores = os.cpu_count() or 1
        return self._config.learner.torch_threads or max(1, cores // 2)

    def newest_weights(self) -> Any | None:
        """The newest published weights; None while there are none, or when they died with their learner."""
        try:
            published: Any = ray.get(self.exchange.latest.remote(None), timeout=30)
            return None if published is None else ray.get(published.payload[0], timeout=30)
        except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError):
            return None


def _remote(plain_class: type) -> Any:
    """The Ray actor class of a plain class; Ray's own types do not know its methods."""
    return ray.remote(plain_class)


def kill(process: Supervised) -> None:
    """Ends a process of this run at once."""
    ray.kill(process.handle, no_restart=True)
