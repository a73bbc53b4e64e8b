"""The weight store: keeps the newest published policy where every actor can ask for it."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

Payload = TypeVar("Payload")


class Published(NamedTuple, Generic[Payload]):
    version: int
    payload: Payload


class WeightStore(Generic[Payload]):
    """Holds one version. The payload is the weights themselves in serial mode and a boxed reference under Ray.

    An older version replaces a newer one: a learner that restarts from its checkpoint goes back.
    """

    def __init__(self) -> None:
        self._newest: Published[Payload] | None = None

    def publish(self, version: int, payload: Payload) -> None:
        self._newest = Published(version, payload)

    def latest(self, known_version: int | None) -> Published[Payload] | None:
        """The published weights, or None when there are none or the caller has them already."""
        if self._newest is None or self._newest.version == known_version:
            return None
        return self._newest
