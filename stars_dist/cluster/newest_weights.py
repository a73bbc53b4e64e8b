"""The newest published weights, fetched for the driver without a wait."""

from __future__ import annotations

from typing import Any

import ray

from actors.policy_weights import PolicyWeights
from stars_dist.cluster.coordinator import PublishedWeights
from stars_dist.cluster.periodic_call import UNANSWERED


class NewestWeights:
    """One fetch at a time: the coordinator's reference first, then what it refers to.

    Weights that died with their learner, and a coordinator that is away, end a fetch with nothing.
    """

    def __init__(self, coordinator: Any) -> None:
        self._coordinator = coordinator
        self._in_flight: Any | None = None

    def advance(self) -> PolicyWeights | None:
        """Begin a fetch if none is in progress; return the weights once they are here."""
        if self._in_flight is None:
            self._in_flight = self._coordinator.latest_weights.remote(None)
        if not ray.wait([self._in_flight], timeout=0)[0]:
            return None
        reference: Any = self._in_flight
        self._in_flight = None
        try:
            answer: PublishedWeights | PolicyWeights | None = ray.get(reference)
        except UNANSWERED:
            return None
        if isinstance(answer, PublishedWeights):
            (self._in_flight,) = answer.reference
            return None
        return answer
