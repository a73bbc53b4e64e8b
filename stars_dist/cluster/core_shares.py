"""The shares of a core of a run's actors on a cluster whose machines come and go.

Each actor asks for a core of its own. One that finds none waits, which an autoscaler takes for a demand and which is
gone with the program. Only when no machine is launched for long do the actors share what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from stars_dist.cluster.launches import Launches
from stars_dist.cluster.node_room import NodeCores
from stars_dist.cluster.placement import Placement, places, share_of_core
from stars_dist.cluster.running_clock import RunningClock

LONGEST_START_S = 60.0  # of a process that has cores already; one that has no place after that has none
SETTLE_S = 6.0  # after nodes have changed, until what is free is known
UNSEEN_S = 20.0  # within which an autoscaler shows itself by a launch
TOLD_EVERY_S = 10.0
WORTH_MOVING = 1.5  # times the share that an actor has


class ActorPlace(NamedTuple):
    """An actor that runs: the cores that it asked for, and where it found them."""

    actor: int
    cpus: float
    node: str | None  # None: it waits
    waited_s: float = 0.0


class CoreShares:
    """Decides what share of a core actors are started with, and which are to start anew."""

    def __init__(
        self,
        num_actors: int,
        placement: Placement,
        wait_s: float | None,
        clock: RunningClock,
        log: Callable[[str], None],
        read_cores: Callable[[], Mapping[str, NodeCores]],
        read_launches: Callable[[], Launches],
    ) -> None:
        """`read_cores` tells the cores of each living node; actors begin with what `placement` gives them.

        `wait_s` is how long they wait for a core of their own without a launch; None where no node comes or goes.
        """
        self.actor_cpus = placement.actor_cpus
        self.cluster_cpus = placement.cluster_cpus  # of the nodes that are there now
        self.is_waiting = False  # whether actors wait for a core of their own
        self._num_actors, self._wait_s, self._clock, self._log = num_actors, wait_s, clock, log
        self._read_cores, self._read_launches = read_cores, read_launches
        self._taken: dict[str, float] = {}  # by node, the cores that others have
        self._nodes: set[str] = set()
        self._changed_at = self._launched_at = self._told_at = clock.now
        self._is_autoscaled = False
        self._is_settled = True  # whether the shares are those of the nodes that are there
        if wait_s is not None:  # before any actor is started
            self._nodes = set(cores := read_cores())
            self._note_taken([], cores)

    def advance(self, actors: Sequence[ActorPlace], num_alive: int) -> list[int]:
        """Look at the nodes; return the actors that are to start anew with `actor_cpus`."""
        if self._wait_s is None:
            return []
        now, cores = self._clock.now, self._read_cores()
        longest_s = max((actor.waited_s for actor in actors if actor.node is None), default=0.0)
        self.cluster_cpus = sum(node.installed for node in cores.values())
        self._note_nodes(now, set(cores))
        if longest_s == 0 or longest_s > LONGEST_START_S:
            self._note_taken(actors, cores)
        waits_for_core = self.actor_cpus >= 1 and longest_s > 0 and self._full_share(cores) < 1
        if waits_for_core and not self.is_waiting:
            self._launched_at = self._told_at = now
        self.is_waiting = waits_for_core
        if now - self._changed_at < SETTLE_S or 0 < longest_s < SETTLE_S:
            return []
        if waits_for_core and not self._is_in_vain(now, num_alive):
            return []
        if not longest_s and self._is_settled:
            return []
        moved = self._share(actors, cores)
        # those that start anew may find other places than those meant for them
        self._is_settled = not moved
        self._changed_at = now if moved else self._changed_at
        return moved

    def _note_nodes(self, now: float, nodes: set[str]) -> None:
        if nodes == self._nodes:
            return
        if nodes - self._nodes:  # its cores are all the actors', who may be faster than this look at them
            self._launched_at = now
        self._nodes, self._changed_at, self._is_settled = nodes, now, False

    def _note_taken(self, actors: Sequence[ActorPlace], cores: Mapping[str, NodeCores]) -> None:
        """Note what others have. While actors start, they have cores already and no place that is known."""
        self._taken = {
            name: max(0.0, node.installed - node.free - _held(actors, name)) for name, node in cores.items()
        }

    def _room(self, cores: Mapping[str, NodeCores]) -> list[float]:
        """Return the cores of each node that are the actors' or free for them."""
        return [node.installed - self._taken.get(name, 0.0) for name, node in cores.items()]

    def _full_share(self, cores: Mapping[str, NodeCores]) -> float:
        return share_of_core(self._room(cores), self._num_actors)

    def _is_in_vain(self, now: float, num_alive: int) -> bool:
        """Say what is waited for; return whether no machine has been launched for too long."""
        if now - self._told_at >= TOLD_EVERY_S:
            self._told_at = now
            launches = self._read_launches()
            self._is_autoscaled |= launches.is_autoscaled
            if launches.launching:
                self._launched_at = now
            self._log(
                f"{num_alive} of {self._num_actors} actors run; waiting for cores: {_words(launches)}"
                f"{'' if launches.launching else self._patience_words(now)}"
            )
        if now - self._launched_at < self._patience_s:
            return False
        self._log(f"no machine was launched for {now - self._launched_at:.0f} s")
        return True

    @property
    def _patience_s(self) -> float:
        wait_s = self._wait_s or 0.0
        return wait_s if self._is_autoscaled else min(wait_s, UNSEEN_S)

    def _patience_words(self, now: float) -> str:
        left_s = max(0.0, self._patience_s - (now - self._launched_at))
        return f"; what is there is shared in {left_s:.0f} s"

    def _share(self, actors: Sequence[ActorPlace], cores: Mapping[str, NodeCores]) -> list[int]:
        """Compute the share anew; return the fewest actors that start anew so that all have a place with it."""
        share, before = self._full_share(cores), self.actor_cpus
        waiting = [actor for actor in actors if actor.node is None]
        if not waiting and share < before:
            return []
        self.actor_cpus = share
        free = {name: node.free for name, node in cores.items()}
        moved = _made_room(actors, free, share) if waiting else _drawn_out(actors, free, share)
        moved += [actor.actor for actor in waiting if actor.cpus != share]
        if moved:
            self._log(
                f"{self._num_actors} actors have {sum(self._room(cores)):g} cores from now on, {_share_words(share)}; "
                f"{len(moved)} start anew for it"
            )
        return moved


def _held(actors: Sequence[ActorPlace], node: str) -> float:
    return sum(actor.cpus for actor in actors if actor.node == node)


def _made_room(actors: Sequence[ActorPlace], free: Mapping[str, float], share: float) -> list[int]:
    """Choose actors, those with most cores first, that make room for all that wait by starting anew with less."""
    if not share:
        return []
    room, moved = dict(free), list[int]()
    missing = sum(actor.node is None for actor in actors)
    for actor in sorted(actors, key=lambda actor: -actor.cpus):
        if sum(places(cpus, share) for cpus in room.values()) >= missing + len(moved):
            break
        if actor.node in room and actor.cpus > share:
            room[actor.node] += actor.cpus
            moved.append(actor.actor)
    return moved


def _drawn_out(actors: Sequence[ActorPlace], free: Mapping[str, float], share: float) -> list[int]:
    """Choose actors, those with fewest cores first, for which there is more room now than they have."""
    found = sum(places(cpus, share) for cpus in free.values()) if share else 0
    crowded = [actor for actor in actors if actor.node is not None and actor.cpus * WORTH_MOVING <= share]
    return [actor.actor for actor in sorted(crowded, key=lambda actor: actor.cpus)[:found]]


def _words(launches: Launches) -> str:
    if launches.launching:
        return ", ".join(f"{count} {name} launching" for name, count in sorted(launches.launching.items()))
    return f"no launch, the last one failed: {launches.failure}" if launches.failure else "no launch so far"


def _share_words(share: float) -> str:
    if share == 0:
        return "none reserved"
    return "a core each" if share == 1 else f"{share:g} of a core each"
