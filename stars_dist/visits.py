"""An actor's visits to the exchange: one under way at a time, and never waited for but for the first weights."""

from __future__ import annotations

from typing import Any

import ray
import ray.exceptions

from actors.policy import PolicyWeights
from actors.rollout import ActorStats
from stars_dist.exchange import News

FIRST_ANSWER_S = 10.0  # a restarted actor would rather not begin with random actions

_AWAY = (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.GetTimeoutError)


class Visits:
    """Asks at one time, takes what has come at a later one.

    Weights that died with the learner that published them are passed over; the next ones will come.
    """

    def __init__(self, exchange: Any) -> None:
        self.task_ids: tuple[int, ...] | None = None  # what the actor is to serve, if it was told
        self._exchange = exchange
        self._first: Any = exchange.latest.remote(None)
        self._visit: Any = None
        self._weights: Any = None  # reference to weights on their way

    def report(self, stats: ActorStats) -> None:
        """Leave word, unless the last visit is still under way."""
        self._take_news()
        if self._visit is None:
            self._visit = self._exchange.visit.remote(stats, stats.weights_version)

    def latest_weights(self, known_version: int | None) -> PolicyWeights | None:
        """Weights that have arrived since the last call."""
        self._take_news()
        weights = self._take(self._weights)
        if weights is None:
            return None
        self._weights = None
        return None if weights.version == known_version else weights

    def _take_news(self) -> None:
        if self._first is not None:
            self._fetch(self._first_answer())
        news: News | None = self._take(self._visit)
        if news is not None:
            self._visit = None
            self.task_ids = news.task_ids
            self._fetch(news.weights)

    def _first_answer(self) -> Any:
        first, self._first = self._first, None
        try:
            return ray.get(first, timeout=FIRST_ANSWER_S)
        except _AWAY:
            return None

    def _fetch(self, published: Any) -> None:
        if published is not None:
            self._weights = published.payload[0]

    def _take(self, reference: Any) -> Any:
        """The value behind a reference if it is here; a lost one is forgotten."""
        if reference is None or not ray.wait([reference], timeout=0)[0]:
            return None
        try:
            return ray.get(reference)
        except _AWAY:
            self._visit = None if reference is self._visit else self._visit
            self._weights = None if reference is self._weights else self._weights
            return None
