"""The placement of a run's processes: what each asks of the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from learner.update_cost import update_flop
from stars_dist.config.run_plan import RunPlan

SPARE_CPUS = 0.5  # of the cluster, left to services when actors share the cores
FLOP_PER_THREAD = 5e9  # of an update; with 0.8e9 two threads were slower than one, with 17e9 faster


class Placement(NamedTuple):
    """Cores and GPUs of each kind of process."""

    cluster_cpus: float
    actor_cpus: float
    service_cpus: float  # of each learner and of each shard
    learner_gpus: int  # of each learner

    @property
    def shares_cores(self) -> bool:
        """Whether an actor has less than a core of its own."""
        return self.actor_cpus < 1


def place(plan: RunPlan, cluster: Mapping[str, float], here: Mapping[str, float]) -> Placement:
    """Give each process one core where the cluster has them; else all share the cores.

    Learners and shards run on this program's node, beside the run directory, so they count on what is `here`.

    Raises:
        ValueError: the configuration needs a GPU for each learner and this node has fewer.
    """
    cpus, gpus = cluster.get("CPU", 0.0), here.get("GPU", 0.0)
    device, learners = plan.config.device, plan.num_learners
    if device == "cuda" and gpus < learners:
        needed = "a GPU" if learners == 1 else f"{learners} GPUs, one for each learner,"
        raise ValueError(
            f"device cuda needs {needed} on the node of this program, it has {gpus:g} (the cluster has "
            f"{cluster.get('GPU', 0.0):g}); start the program on a node with a GPU, or use --device cpu"
        )
    learner_gpus = 1 if gpus >= learners and device != "cpu" else 0
    services = plan.replay.num_shards + learners
    if plan.num_actors + services <= cpus:
        return Placement(cpus, 1.0, 1.0 if services <= here.get("CPU", 0.0) else 0.0, learner_gpus)
    share = max(cpus - SPARE_CPUS, SPARE_CPUS) / plan.num_actors
    return Placement(cpus, min(1.0, int(share * 1000) / 1000), 0.0, learner_gpus)


def learner_threads(plan: RunPlan, placement: Placement, cores: int) -> int:
    """Choose torch's threads in the learner on a machine with so many allotted cores.

    Actors that share the cores wait for the limiter nearly all the time, so all cores are free for the learner, whose
    idle threads wait passively. Actors with a core each keep it, and so do the shards. A small update has one thread
    all the same: its products are over before a second one has begun (docs/results/learner-threads.md).
    """
    taken = 0 if placement.shares_cores else plan.num_actors + plan.replay.num_shards
    learners = plan.num_learners
    flop = update_flop(plan.config.network, plan.replay.spec, plan.replay.batch_size) / learners
    free = (cores - taken) // learners
    return plan.config.learner.torch_threads or max(1, min(free, int(flop / FLOP_PER_THREAD)))
