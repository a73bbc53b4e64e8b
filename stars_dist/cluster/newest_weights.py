"""The newest published weights, fetched for the driver without a wait."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import ray

from actors.policy_weights import PolicyWeights
from stars_dist.cluster.coordinator import PublishedWeights
from stars_dist.cluster.periodic_call import UNANSWERED
from stars_dist.cluster.weights_fetch import WeightsFetch


class NewestWeights:
    """One fetch at a time: the coordinator's references first, then what they refer to, of all tasks.

    Weights that died with their learner, and a coordinator that is away, end a fetch with nothing.
    """

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator
        self._asked: Any | None = None
        self._fetch: WeightsFetch | None = None

    def advance(self) -> PolicyWeights | None:
        """Begin a fetch if none is in progress; return the weights once they are here."""
        if self._fetch is None:
            self._ask()
        if self._fetch is None or not self._fetch.is_done():
            return None
        fetch, self._fetch = self._fetch, None
        with suppress(*UNANSWERED):
            return fetch.result()
        return None

    def _ask(self) -> None:
        if self._asked is None:
            self._asked = self._coordinator.latest_weights.remote(None)
        if not ray.wait([self._asked], timeout=0)[0]:
            return
        asked: Any = self._asked
        self._asked = None
        with suppress(*UNANSWERED):
            published: PublishedWeights | None = ray.get(asked)
            self._fetch = None if published is None else WeightsFetch(published)
