"""The placement of a run's processes: what each asks of the cluster, and whether that is there."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from learner.update_cost import update_flop
from stars_dist.cluster.actor_memory import check_memory, check_nodes_memory
from stars_dist.config.run_plan import RunPlan

SPARE_CPUS = 0.5  # of a cluster of this run's own, left to services when actors share the cores
# Of a core, for the learner and each shard on a cluster that others may use too
SERVICE_SHARES = (1.0, 0.5, 0.25)
LEAST_SHARE = 0.002  # of a core; Ray keeps thousandths
STARTING_PER_CORE = 25  # actors; those that are up already step, so fewer keep the last ones waiting longer
STARTING_BESIDE_SERVICES_PER_CORE = 4  # while coordinator and shards start, which the actors need
FLOP_PER_THREAD = 5e9  # of an update; with 0.8e9 two threads were slower than one, with 17e9 faster


class Room(NamedTuple):
    """What a cluster has, as Ray counts it: here is the node of this program, where the run directory is."""

    is_own: bool  # started for this run alone
    free_cpus: float  # here
    free_gpus: float  # here
    cpus: float  # installed here
    gpus: float  # installed here
    other_free_cpus: tuple[float, ...] = ()  # of each other node
    cluster_cpus: float = 0.0  # installed, all nodes together
    cluster_gpus: float = 0.0
    free_bytes: float = inf  # memory that processes may still take here
    nodes_free_bytes: tuple[float, ...] = ()  # the same of all nodes, if they were asked
    may_grow: bool = False  # an autoscaler adds nodes, if they were asked


class Placement(NamedTuple):
    """Cores and GPUs of each kind of process."""

    cluster_cpus: float  # at the start, as the next; see CoreShares
    actor_cpus: float
    service_cpus: float  # of each learner and of each shard
    learner_gpus: int  # of each learner
    is_own: bool = True  # of a cluster that was started for the run, to which no node comes
    memory_note: str = ""  # of actors for which machines must be added

    @property
    def shares_cores(self) -> bool:
        """Whether an actor has less than a core of its own."""
        return self.actor_cpus < 1


def place(plan: RunPlan, room: Room) -> Placement:
    """Choose what each process asks for, of what is free.

    Learners and shards run on this program's node, beside the run directory. On a cluster of the run's own all share
    the cores if there are not enough. On another one learners and shards have at least a share of a core reserved, and
    actors ask for a core each: those that find none wait for more machines.

    Raises:
        ValueError: this node has not the cores or the GPU that learners and shards need, or there is not the memory
            for the actors.
    """
    learner_gpus = _learner_gpus(plan, room)
    services = plan.replay.num_shards + plan.num_learners
    if not room.is_own:
        share = _service_share(plan, services, room)
        note = check_nodes_memory(plan.num_actors, room.nodes_free_bytes or (room.free_bytes,), room.may_grow)
        return Placement(room.cluster_cpus, 1.0, share, learner_gpus, False, note)
    check_memory(plan.num_actors, room.free_bytes)
    cpus = room.free_cpus
    if plan.num_actors + services <= cpus:
        return Placement(cpus, 1.0, 1.0, learner_gpus)
    share = max(cpus - SPARE_CPUS, SPARE_CPUS) / plan.num_actors
    return Placement(cpus, min(1.0, _thousandths(share)), 0.0, learner_gpus)


def share_of_core(free_cpus: Sequence[float], num_actors: int) -> float:
    """Return the greatest share 1/k of a core of which nodes with so much room hold all actors; 0 for too little room.

    An actor that asks for no share of a core has a place in any case.
    """
    sharing = 1
    while (share := _thousandths(1 / sharing)) >= LEAST_SHARE:
        if sum(places(free, share) for free in free_cpus) >= num_actors:
            return share
        sharing += 1
    return 0.0


def places(free_cpus: float, share: float) -> int:
    """Count the processes of a share of a core that a node has room for."""
    return int(free_cpus / share + 1e-6)


def most_starting_actors(
    num_actors: int, actor_cpus: float, cluster_cpus: float, are_services_up: bool
) -> int:
    """Return how many actors may start at a time: all, if each has a core of its own or waits for one."""
    if actor_cpus >= 1:
        return num_actors
    per_core = STARTING_PER_CORE if are_services_up else STARTING_BESIDE_SERVICES_PER_CORE
    return max(1, int(per_core * cluster_cpus))


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


def _thousandths(share: float) -> float:
    return int(share * 1000) / 1000


def _learner_gpus(plan: RunPlan, room: Room) -> int:
    device, learners = plan.config.device, plan.num_learners
    needed = "a GPU" if learners == 1 else f"{learners} GPUs, one for each learner,"
    if device == "cuda" and room.gpus < learners:
        raise ValueError(
            f"device cuda needs {needed} on the node of this program, it has {room.gpus:g} (the cluster has "
            f"{room.cluster_gpus:g}); start the program on a node with a GPU, or use --device cpu"
        )
    if device == "cpu" or room.gpus < learners:
        return 0
    if room.free_gpus < learners:
        raise ValueError(
            f"learning needs {needed} on the node of this program, of its {room.gpus:g} {room.free_gpus:g} are free; "
            "start it when other programs have ended, or use --device cpu"
        )
    return 1


def _service_share(plan: RunPlan, services: int, room: Room) -> float:
    """Choose the share of a core of learner and shards: a whole one, unless that leaves none for any actor."""
    elsewhere = sum(map(int, room.other_free_cpus))
    for share in SERVICE_SHARES:
        left = room.free_cpus - services * share
        if left >= 0 and int(left) + elsewhere >= 1:
            return share
    least = SERVICE_SHARES[-1]
    if services * least <= room.free_cpus:
        return least
    fitting = int(room.free_cpus / least) - plan.num_learners
    remedy = (
        f"use --shards {fitting}" if fitting >= 1 else "start it when more are free, or use --address local"
    )
    raise ValueError(
        f"learners ({plan.num_learners}) and shards ({plan.replay.num_shards}) need {least:g} of a core each on this "
        f"program's node, {services * least:g} in all, {room.free_cpus:g} of its {room.cpus:g} are free; {remedy}"
    )
