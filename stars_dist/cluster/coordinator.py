"""The coordinator: where actors send their heartbeats, and find new weights and their tasks.

One call does all three, so that an actor needs no thread that answers the driver: with fifty actors such
threads cost a third of a core (Ray wakes each a hundred times per second).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from actors.sync import ActorStats


class PublishedWeights(NamedTuple):
    """A version of the weights in Ray's object store."""

    version: int
    reference: list[Any]  # the one reference, boxed: Ray would replace a bare one by what it refers to


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

    def publish(self, version: int, reference: list[Any]) -> None:
        """Keep the learner's newest weights."""
        self._weights = PublishedWeights(version, reference)

    def latest_weights(self, known_version: int | None) -> PublishedWeights | None:
        """Return the published weights; None when there are none or the caller has them already."""
        if self._weights is None or self._weights.version == known_version:
            return None
        return self._weights

    def heartbeat(self, stats: ActorStats) -> HeartbeatReply:
        """Record an actor's heartbeat and return what is new for it."""
        self._received += 1
        self._heartbeats[stats.actor] = Heartbeat(stats, self._received)
        return HeartbeatReply(self.latest_weights(stats.weights_version), self._task_ids.get(stats.actor))

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
