"""An actor's client of the coordinator: one heartbeat in flight, and no wait but for the first weights."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import ray
import ray.exceptions

from actors.policy_weights import PolicyWeights
from actors.sync import ActorStats, SyncReply
from stars_dist.cluster.coordinator import HeartbeatReply, PublishedWeights
from stars_dist.cluster.weights_fetch import WeightsFetch

FIRST_ANSWER_S = 10.0  # a restarted actor would rather not begin with random actions

_UNAVAILABLE = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError)


class CoordinatorClient:
    """Sends heartbeats and takes their answers at a later call.

    Weights that died with the learner that published them are passed over; the next ones will come. Other tasks are
    handed on together with weights for them, or before there are any weights.
    """

    def __init__(self, coordinator: Any, period_s: float, task_ids: tuple[int, ...]) -> None:
        """`period_s`: the least time between two heartbeats; `task_ids`: what the actor begins with."""
        self._coordinator = coordinator
        self._period_s = period_s
        self._send_at = 0.0
        self._assigned: tuple[int, ...] | None = None  # to serve, once the coordinator knows
        self._task_ids: tuple[int, ...] | None = None  # the same, once there are weights for them
        self._first: Any = coordinator.latest_weights.remote(None, task_ids)
        self._heartbeat: Any = None  # in flight
        self._fetch: WeightsFetch | None = None  # in flight
        self._held: WeightsFetch | None = None  # what the actor has

    def sync(self, stats: ActorStats) -> SyncReply:
        """Send a heartbeat, if it is time and none is in flight; return the news that has arrived."""
        now = time.monotonic()  # before the replies: a caller of the same period is not too early next time
        self._take_replies()
        if self._heartbeat is None and now >= self._send_at:
            self._send_at = now + self._period_s
            self._heartbeat = self._coordinator.heartbeat.remote(stats)
        weights = self._take_weights(stats)
        if self._assigned is not None and (self._held is None or self._held.is_covering(self._assigned)):
            self._task_ids = self._assigned
        return SyncReply(weights, self._task_ids)

    def _take_replies(self) -> None:
        if self._first is not None:
            first, self._first = self._first, None
            with suppress(*_UNAVAILABLE):
                self._begin_fetch(ray.get(first, timeout=FIRST_ANSWER_S))
        if self._heartbeat is None or not ray.wait([self._heartbeat], timeout=0)[0]:
            return
        heartbeat, self._heartbeat = self._heartbeat, None
        with suppress(*_UNAVAILABLE):
            reply: HeartbeatReply = ray.get(heartbeat)
            self._assigned = reply.task_ids
            self._begin_fetch(reply.weights)

    def _begin_fetch(self, published: PublishedWeights | None) -> None:
        if published is not None:
            self._fetch = WeightsFetch(published)

    def _take_weights(self, stats: ActorStats) -> PolicyWeights | None:
        if self._fetch is None or not self._fetch.is_done():
            return None
        fetch, self._fetch = self._fetch, None
        try:
            weights = fetch.result()
        except _UNAVAILABLE:
            return None
        is_held = self._held is not None and self._held.is_covering(self._assigned or stats.task_ids)
        is_known = weights.version == stats.weights_version and is_held
        if is_known or not fetch.is_covering((*stats.task_ids, *(self._task_ids or ()))):
            return None
        self._held = fetch
        return weights
