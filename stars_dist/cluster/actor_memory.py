"""The memory of a run's actors: what one takes, and how many a machine has room for."""

from __future__ import annotations

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


def check_memory(num_actors: int, free_bytes: float) -> None:
    """Refuse actors that cannot fit, whatever their environments take.

    Raises:
        ValueError: their bare processes hold more than is free.
    """
    least = num_actors * LEAST_ACTOR_BYTES
    if least <= free_bytes:
        return
    fitting = max(1, fitting_actors(free_bytes))
    fewer = (
        f", or launch with --actors {fitting}: an actor serves several tasks" if fitting < num_actors else ""
    )
    raise ValueError(
        f"actors must fit into the memory that is free, got {counted(num_actors, 'actor')} of at least "
        f"{LEAST_ACTOR_BYTES / 2**20:.0f} MiB, {least / GIB:.1f} GiB in all, with {free_bytes / GIB:.1f} GiB free for "
        f"this program; free some{fewer}"
    )
