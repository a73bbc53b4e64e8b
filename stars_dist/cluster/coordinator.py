"""The coordinator: where actors send their heartbeats, and find new weights and their tasks.

One call does all three, so that an actor needs no thread that answers the driver: with fifty actors such
threads cost a third of a core (Ray wakes each a hundred times per second).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from actors.sync import ActorStats


class PublishedWeights(NamedTuple):
    """A version of the weights in Ray's object store, cut by task as in `actors/task_weights.py`."""

    version: int
    common: list[Any]  # one reference, boxed: Ray would replace a bare one by what it refers to
    # A reference for each task, or for those that were asked for; empty: tasks have none.
    of_task: dict[int, Any]
    num_tasks: int  # of the run

    def for_tasks(self, task_ids: Collection[int]) -> PublishedWeights:
        """Leave out what other tasks need; of no task in particular: leave out nothing."""
        wanted = {task: ref for task, ref in self.of_task.items() if task in task_ids}
        return self._replace(of_task=wanted) if task_ids else self


class HeartbeatReply(NamedTuple):
    """The news for an actor."""

    weights: PublishedWeights | None  # None: those that the actor has are the newest
    task_ids: tuple[int, ...] | None  # what it is to serve; None: what it was started with


class Heartbeat(NamedTuple):
    """The newest heartbeat of an actor."""

    stats: ActorStats
    number: int  # of all that were received: another one is another sign of life


class Coordinator:
    """Keeps the newest of everything and nothing else; after a restart the next heartbeats fill it again.

    Weights of an older version replace newer ones: a learner that restarts from its checkpoint goes back.
    """

    def __init__(self) -> None:
        self._weights: PublishedWeights | None = None
        self._heartbeats: dict[int, Heartbeat] = {}
        self._received = 0
        self._task_ids: dict[int, tuple[int, ...]] = {}

    def publish(self, version: int, common: list[Any], of_task: list[Any]) -> None:
        """Keep the learner's newest weights; `of_task` has a reference for each task, or none."""
        references = dict(enumerate(of_task))
        self._weights = PublishedWeights(version, common, references, len(of_task))

    def latest_weights(
        self, known_version: int | None, task_ids: Collection[int] = ()
    ) -> PublishedWeights | None:
        """Return the published weights of some tasks, or of all; None if there are none or the caller has them."""
        if self._weights is None or self._weights.version == known_version:
            return None
        return self._weights.for_tasks(task_ids)

    def heartbeat(self, stats: ActorStats) -> HeartbeatReply:
        """Record an actor's heartbeat and return what is new for it.

        An actor that is to take on tasks gets the weights for them, and for those that it serves until then.
        """
        self._received += 1
        self._heartbeats[stats.actor] = Heartbeat(stats, self._received)
        task_ids = self._task_ids.get(stats.actor)
        wanted = {*stats.task_ids, *(task_ids or ())}
        known_version = None if wanted - {*stats.task_ids} else stats.weights_version
        return HeartbeatReply(self.latest_weights(known_version, wanted), task_ids)

    def collect_heartbeats(self, task_ids: Mapping[int, tuple[int, ...]]) -> tuple[Heartbeat, ...]:
        """Keep what each actor is to serve, and return the newest heartbeat of each: the driver's call."""
        self._task_ids = dict(task_ids)
        return tuple(self._heartbeats.values())


class CoordinatorRestarts:
    """Notices a coordinator that Ray has started anew, which counts heartbeats from one again: the driver's part."""

    def __init__(self) -> None:
        self._newest = 0

    def is_new(self, heartbeats: Sequence[Heartbeat]) -> bool:
        """Return whether these are the first that another coordinator has received; True once for each."""
        newest = max((heartbeat.number for heartbeat in heartbeats), default=0)
        if newest == 0:  # nobody has reported to it yet
            return False
        before, self._newest = self._newest, newest
        return newest < before
