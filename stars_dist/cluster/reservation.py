"""The reservation of a run: cores and GPU of learner and shards on this program's node, also while one is away.

Without it an actor that waits for a core would take that of a shard or a learner that has just died, and the one that
comes back, which can go nowhere else, would wait for ever.
"""

from __future__ import annotations

import time
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from stars_dist.cluster.actor_memory import least_bytes
from stars_dist.cluster.node_room import read_room
from stars_dist.cluster.placement import Placement, place
from stars_dist.config.run_plan import RunPlan

RESERVED_S = 15.0  # to reserve what was free a moment ago
FREED_TRIES, FREED_S = 5, 2.0  # what a program had that has just ended is free a moment after it


class Reservation:
    """Bundle 0 is that of all learners, the others are the shards'. It ends with the program."""

    def __init__(self, placement: Placement, num_learners: int, num_shards: int) -> None:
        """Reserve what the placement gives each of them.

        Raises:
            ValueError: another program was faster.
        """
        self.placement = placement
        here = ray.get_runtime_context().get_node_id()
        # Beside the run directory, or nowhere: another node has not its files, and may be preempted.
        self.here = NodeAffinitySchedulingStrategy(here, soft=False)
        self._group: PlacementGroup | None = None
        if placement.service_cpus:
            self._group = _reserve(_bundles(placement, num_learners, num_shards), here)

    def of_learner(self) -> dict[str, Any]:
        """Return the options of a learner's process."""
        return self._options(0) | {"num_gpus": self.placement.learner_gpus}

    def of_shard(self, index: int) -> dict[str, Any]:
        """Return the options of a shard's process."""
        return self._options(1 + index)

    def _options(self, bundle: int) -> dict[str, Any]:
        cpus: dict[str, Any] = {"num_cpus": self.placement.service_cpus}
        if self._group is None:
            return cpus | {"scheduling_strategy": self.here}
        return cpus | {"scheduling_strategy": PlacementGroupSchedulingStrategy(self._group, bundle)}


def reserve(plan: RunPlan, is_own: bool) -> Reservation:
    """Place a run in the room that the cluster has, and reserve what learner and shards need.

    Raises:
        ValueError: as `place`; nothing was started.
    """
    for tries_left in reversed(range(FREED_TRIES)):
        try:
            room = read_room(is_own, least_bytes(plan.num_actors))
            return Reservation(place(plan, room), plan.num_learners, plan.replay.num_shards)
        except ValueError:
            if not tries_left or is_own:
                raise
            time.sleep(FREED_S)
    raise AssertionError("the last try returns or raises")


def _bundles(placement: Placement, num_learners: int, num_shards: int) -> list[dict[str, float]]:
    learners = {"CPU": num_learners * placement.service_cpus}
    if placement.learner_gpus:
        learners["GPU"] = float(num_learners * placement.learner_gpus)
    return [learners, *({"CPU": placement.service_cpus} for _ in range(num_shards))]


def _reserve(bundles: list[dict[str, float]], node_id: str) -> PlacementGroup:
    selector = [{"ray.io/node-id": node_id}] * len(bundles)
    group = placement_group(bundles, strategy="PACK", bundle_label_selector=selector)
    if not group.wait(RESERVED_S):
        remove_placement_group(group)
        cpus = sum(bundle["CPU"] for bundle in bundles)
        raise ValueError(
            f"learner and shards need {cpus:g} cores on the node of this program, which were free and were taken "
            "meanwhile; start the run again"
        )
    return group
