"""The exchange: where actors leave word of themselves, and find new weights and their tasks.

One call does all three, so that an actor needs no thread that answers the driver: with fifty actors such
threads cost a third of a core (Ray wakes each a hundred times a second).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from actors.rollout import ActorStats
from stars_dist.weight_store import Published, WeightStore


class News(NamedTuple):
    """What an actor takes along from a visit."""

    weights: Published[Any] | None  # None: those that the actor has are the newest
    task_ids: tuple[int, ...] | None  # what it is to serve; None: what it was started with


class Heard(NamedTuple):
    """The last word of an actor."""

    stats: ActorStats
    silent_s: float  # since then


class Exchange(WeightStore[Any]):
    """Keeps the newest of everything and nothing else; after a restart the next visits fill it again."""

    def __init__(self) -> None:
        super().__init__()
        self._stats: dict[int, tuple[ActorStats, float]] = {}
        self._task_ids: dict[int, tuple[int, ...]] = {}

    def visit(self, stats: ActorStats, known_version: int | None) -> News:
        """An actor's call."""
        self._stats[stats.actor] = (stats, time.monotonic())
        return News(self.latest(known_version), self._task_ids.get(stats.actor))

    def gather(self, task_ids: Mapping[int, tuple[int, ...]]) -> tuple[Heard, ...]:
        """The driver's call: what each actor is to serve, against the last word of each."""
        self._task_ids = dict(task_ids)
        now = time.monotonic()
        return tuple(Heard(stats, now - heard_at) for stats, heard_at in self._stats.values())
