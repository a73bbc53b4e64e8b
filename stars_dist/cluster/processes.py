"""The processes of a distributed run: plain classes that cluster.py wraps with ray.remote."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ray

from actors.config import EnvironmentConfig
from actors.evaluation_result import EpisodeResult
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from actors.tasks import Suite
from replay_service.transport import RayTransport
from stars_dist.cluster.coordinator_client import CoordinatorClient
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory

READY_TIMEOUT_S = 1.0  # of a wait for the limiter, before the actor looks whether it is to serve other tasks


class LearnerStatus(NamedTuple):
    """The learner's answer to the driver: its clocks, and its reports since the last status."""

    learner_steps: int
    env_steps: int
    waited_s: float  # for batches: with the steps it shows that the loop goes round
    reports: tuple[Any, ...]  # of LearnerReport


class RolloutProcess:
    """One rollout actor. It is ended by killing it, and reaches the driver through the coordinator alone."""

    def __init__(
        self,
        run_dir: Path,
        plan: RunPlan,
        actor: int,
        incarnation: int,
        shards: Sequence[Any],
        coordinator: Any,
    ) -> None:
        from stars_dist.build.rollout import build_worker

        client = CoordinatorClient(coordinator, plan.config.actors.weights_poll_s)
        run, transport = RunDirectory(run_dir), RayTransport(shards)
        self._worker = build_worker(run, plan, transport, actor, incarnation, client.sync)

    def run(self) -> None:
        """Act until all of its tasks have their steps."""
        while not self._worker.finished:
            self._worker.collect_chunk(READY_TIMEOUT_S)


class LearnerProcess:
    """The learner."""

    def __init__(
        self,
        run_dir: Path,
        plan: RunPlan,
        shards: Sequence[Any],
        coordinator: Any,
        checkpoint: Path | None,
    ) -> None:
        from learner.prefetch import PrefetchSource
        from stars_dist.build.learner import build_learner

        self._coordinator = coordinator
        self._reports: deque[Any] = deque(maxlen=1000)
        run, transport = RunDirectory(run_dir), RayTransport(shards)
        self._learner = build_learner(
            run, plan, transport, checkpoint, PrefetchSource, self._publish, self._reports.append
        )

    def run(self) -> int:
        """Learn until the run's updates are made or until `stop`; return the learner steps reached."""
        self._learner.loop.run()
        return self._learner.loop.learner_steps

    def status(self) -> LearnerStatus:
        """Return the clocks and hand over the reports."""
        reports = tuple(self._reports.popleft() for _ in range(len(self._reports)))
        learner = self._learner
        return LearnerStatus(
            learner.loop.learner_steps, learner.sampler.env_steps, learner.source.waited_s, reports
        )

    def stop(self) -> None:
        """End `run` after the update in progress, with a checkpoint."""
        self._learner.loop.stop()

    def _publish(self, weights: PolicyWeights) -> None:
        # One copy in the object store for all actors; boxed, or the coordinator would be sent the arrays themselves.
        self._coordinator.publish.remote(weights.version, [ray.put(weights)])


class EvaluationProgress(NamedTuple):
    """The evaluator's answer to the driver."""

    steps: int  # since its start: another number is a sign of life
    episodes: tuple[EpisodeResult, ...]  # of the task in progress


class EvaluationProcess:
    """One process of an evaluation: evaluates one task after another, and tells how far it is while it does."""

    def __init__(self) -> None:
        self._steps = 0
        self._episodes: list[EpisodeResult] = []

    def evaluate(
        self,
        policy: NumpyPolicy,
        suite: Suite,
        task_id: int,
        numbers: Sequence[int],
        seed: int,
        environment: EnvironmentConfig,
        goals_path: Path,
    ) -> tuple[EpisodeResult, ...]:
        """Run the episodes of these numbers of one task."""
        from actors.evaluator import iterate_episodes

        self._episodes = []
        self._steps += 1

        def act(obs: Any) -> Any:
            self._steps += 1
            return policy.act(obs[None])[0]

        for episode in iterate_episodes(act, suite, task_id, numbers, seed, environment, goals_path):
            self._episodes.append(episode)
        return tuple(self._episodes)

    def progress(self) -> EvaluationProgress:
        """Return how far it is."""
        return EvaluationProgress(self._steps, tuple(self._episodes))
