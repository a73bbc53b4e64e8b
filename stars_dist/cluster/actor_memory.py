"""The memory of a run's actors: what one takes, and how many a machine has room for."""

from __future__ import annotations

from collections.abc import Sequence

from stars_dist.config.count_words import counted

GIB = 2**30
# What an actor's process holds before its environments, without which none runs: Ray's part and ours. 68 MiB were
# measured with a toy task (docs/scaling.md). More of these than there is memory cannot be, so `launch` refuses them.
LEAST_ACTOR_BYTES = 65 * 2**20
# What to reckon with for an actor with its environments: four of Meta-World bring it to some 130 MiB, simulators that
# load more take more. What fits by this figure is what `doctor` and the remedy of `launch` advise.
ACTOR_BYTES = 0.3 * GIB
SERVICES_BYTES = 4 * GIB  # the learner with torch, a shard, the program and Ray


def fitting_actors(free_bytes: float) -> int:
    """Count the actors to advise where so much is free: those that fit with environments beside the services."""
    return int(max(0.0, free_bytes - SERVICES_BYTES) / ACTOR_BYTES)


def least_bytes(num_actors: int) -> float:
    """Return what so many actors hold before their environments."""
    return num_actors * LEAST_ACTOR_BYTES


def check_memory(num_actors: int, free_bytes: float) -> None:
    """Refuse actors that cannot fit, whatever their environments take.

    Raises:
        ValueError: their bare processes hold more than is free.
    """
    if least_bytes(num_actors) <= free_bytes:
        return
    raise ValueError(
        f"actors must fit into the memory that is free, got {_sizes(num_actors)}, with {free_bytes / GIB:.1f} GiB "
        f"free for this program; free some{_fewer(num_actors, free_bytes)}"
    )


def check_nodes_memory(num_actors: int, free_bytes: Sequence[float], may_grow: bool) -> str:
    """Refuse actors that the nodes of a cluster cannot hold, each with so much free; "" if they can.

    Where an autoscaler may add machines they are not refused; what to say of them is returned.

    Raises:
        ValueError: their bare processes hold more than is free.
    """
    room = sum(min(free, least_bytes(num_actors)) // LEAST_ACTOR_BYTES for free in free_bytes)
    if num_actors <= room:
        return ""
    found = f"{sum(free_bytes) / GIB:.1f} GiB free on {counted(len(free_bytes), 'node')} of the cluster"
    if may_grow:
        return (
            f"memory: {_sizes(num_actors)}, with {found}; the others need machines that the autoscaler adds"
        )
    raise ValueError(
        f"actors must fit into the memory that is free, got {_sizes(num_actors)}, with {found}, room for {room:.0f}; "
        f"free some, add nodes{_fewer(num_actors, sum(free_bytes))}"
    )


def _sizes(num_actors: int) -> str:
    one, total = LEAST_ACTOR_BYTES / 2**20, least_bytes(num_actors) / GIB
    return f"{counted(num_actors, 'actor')} of at least {one:.0f} MiB, {total:.1f} GiB in all"


def _fewer(num_actors: int, free_bytes: float) -> str:
    fitting = max(1, fitting_actors(free_bytes))
    if fitting >= num_actors:
        return ""
    return f", or launch with --actors {fitting}: an actor serves several tasks"
