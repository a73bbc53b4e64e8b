"""An actor's client of the coordinator: one heartbeat in flight, and no wait but for the first weights."""

from __future__ import annotations

import time
from typing import Any

import ray
import ray.exceptions

from actors.policy_weights import PolicyWeights
from actors.sync import ActorStats, SyncReply
from stars_dist.cluster.coordinator import HeartbeatReply, PublishedWeights

FIRST_ANSWER_S = 10.0  # a restarted actor would rather not begin with random actions

_UNAVAILABLE = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError)


class CoordinatorClient:
    """Sends heartbeats and takes their answers at a later call.

    Weights that died with the learner that published them are passed over; the next ones will come.
    """

    def __init__(self, coordinator: Any, period_s: float) -> None:
        """`period_s`: the least time between two heartbeats."""
        self._coordinator = coordinator
        self._period_s = period_s
        self._send_at = 0.0
        self._task_ids: tuple[int, ...] | None = None
        self._first: Any = coordinator.latest_weights.remote(None)
        self._heartbeat: Any = None  # in flight
        self._weights: Any = None  # reference to weights in flight

    def sync(self, stats: ActorStats) -> SyncReply:
        """Send a heartbeat, if it is time and none is in flight; return the news that has arrived."""
        self._take_replies()
        if self._heartbeat is None and time.monotonic() >= self._send_at:
            self._send_at = time.monotonic() + self._period_s
            self._heartbeat = self._coordinator.heartbeat.remote(stats)
        return SyncReply(self._take_weights(stats.weights_version), self._task_ids)

    def _take_replies(self) -> None:
        if self._first is not None:
            self._fetch(self._first_answer())
        reply: HeartbeatReply | None = self._take(self._heartbeat)
        if reply is not None:
            self._heartbeat = None
            self._task_ids = reply.task_ids
            self._fetch(reply.weights)

    def _take_weights(self, known_version: int | None) -> PolicyWeights | None:
        weights = self._take(self._weights)
        if weights is None:
            return None
        self._weights = None
        return None if weights.version == known_version else weights

    def _first_answer(self) -> PublishedWeights | None:
        first, self._first = self._first, None
        try:
            return ray.get(first, timeout=FIRST_ANSWER_S)
        except _UNAVAILABLE:
            return None

    def _fetch(self, published: PublishedWeights | None) -> None:
        if published is not None:
            (self._weights,) = published.reference

    def _take(self, reference: Any) -> Any:
        """The value behind a reference if it is here; a lost one is forgotten."""
        if reference is None or not ray.wait([reference], timeout=0)[0]:
            return None
        try:
            return ray.get(reference)
        except _UNAVAILABLE:
            self._heartbeat = None if reference is self._heartbeat else self._heartbeat
            self._weights = None if reference is self._weights else self._weights
            return None
