"""The processes of a distributed run: plain classes that launch.py wraps with ray.remote."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ray

from actors.policy import PolicyWeights
from replay_service.transport import RayTransport
from stars_dist.config import RunConfig
from stars_dist.visits import Visits

READY_TIMEOUT_S = 1.0  # of a wait for the limiter, before the actor looks whether it is to serve other tasks


class LearnerStatus(NamedTuple):
    """What the learner tells the driver; its reports since the last poll."""

    learner_steps: int
    env_steps: int
    reports: tuple[Any, ...]  # of LearnerReport


class RolloutProcess:
    """One rollout actor. It is ended by killing it, and speaks to the run through the exchange alone."""

    def __init__(
        self,
        config: RunConfig,
        run_dir: Path,
        actor: int,
        incarnation: int,
        shards: Sequence[Any],
        exchange: Any,
    ) -> None:
        from stars_dist.rollout_parts import build_assignment, build_worker

        self._visits = Visits(exchange)
        assignment = build_assignment(config, actor, incarnation, run_dir)
        self._worker = build_worker(
            config, assignment, RayTransport(shards), self._visits.latest_weights, self._visits.report
        )

    def run(self) -> None:
        """Acts until all of its tasks have their steps."""
        while not self._worker.finished:
            self._worker.collect_chunk(READY_TIMEOUT_S)
            wanted = self._visits.task_ids
            if wanted is not None and set(wanted) != set(self._worker.task_ids):
                self._worker.reassign(wanted)


class LearnerProcess:
    """The learner."""

    def __init__(
        self, config: RunConfig, run_dir: Path, shards: Sequence[Any], exchange: Any, checkpoint: Path | None
    ) -> None:
        from learner.prefetch import PrefetchSource
        from stars_dist.learner_parts import LearnerParts

        self._exchange = exchange
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
        self._exchange.publish.remote(weights.version, [ray.put(weights)])
