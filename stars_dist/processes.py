"""The processes of a distributed run: plain classes that launch.py wraps with ray.remote."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ray
import ray.exceptions

from actors.policy import PolicyWeights
from actors.rollout import ActorStats
from replay_service.transport import RayTransport
from stars_dist.config import RunConfig


class LearnerStatus(NamedTuple):
    """What the learner tells the driver; its reports since the last poll."""

    learner_steps: int
    env_steps: int
    reports: tuple[Any, ...]  # of LearnerReport


class RolloutProcess:
    """One rollout actor."""

    def __init__(
        self,
        config: RunConfig,
        run_dir: Path,
        actor: int,
        incarnation: int,
        shards: Sequence[Any],
        store: Any,
    ) -> None:
        from stars_dist.rollout_parts import build_assignment, build_worker

        self._store = store
        self._stop = threading.Event()
        assignment = build_assignment(config, actor, incarnation, run_dir)
        self._worker = build_worker(config, assignment, RayTransport(shards), self._latest_weights)

    def run(self) -> None:
        """Acts until all of its tasks have their steps, or until told to stop."""
        self._worker.run(self._stop.is_set)

    def stats(self) -> ActorStats:
        return self._worker.stats()

    def _latest_weights(self, known_version: int | None) -> PolicyWeights | None:
        """The newest weights, or None: also when they died with the learner that published them."""
        try:
            published: Any = ray.get(self._store.latest.remote(known_version))
            return None if published is None else ray.get(published.payload[0])
        except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
            return None


class LearnerProcess:
    """The learner."""

    def __init__(
        self, config: RunConfig, run_dir: Path, shards: Sequence[Any], store: Any, checkpoint: Path | None
    ) -> None:
        from learner.prefetch import PrefetchSource
        from stars_dist.learner_parts import LearnerParts

        self._store = store
        self._reports: deque[Any] = deque(maxlen=1000)
        transport = RayTransport(shards)
        self._parts = LearnerParts(
            config, run_dir, transport, checkpoint, PrefetchSource, self._publish, self._reports.append
        )

    def run(self) -> int:
        """Learns until the run's updates are made or until told to stop; returns the learner steps reached."""
        self._parts.loop.run()
        return self._parts.loop.learner_steps

    def poll(self) -> LearnerStatus:
        reports = tuple(self._reports.popleft() for _ in range(len(self._reports)))
        return LearnerStatus(self._parts.loop.learner_steps, self._parts.sampler.env_steps, reports)

    def stop(self) -> None:
        """Ends `run` after the update under way, with a checkpoint."""
        self._parts.loop.stop()

    def _publish(self, weights: PolicyWeights) -> None:
        # One copy in the object store for all actors; boxed, or the store would be sent the arrays themselves.
        self._store.publish.remote(weights.version, [ray.put(weights)])
