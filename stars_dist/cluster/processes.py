"""The processes of a distributed run: plain classes that cluster.py wraps with ray.remote."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ray
from numpy.typing import NDArray

from actors.assignment import assign_tasks
from actors.config import EnvironmentConfig
from actors.evaluation_result import EpisodeResult
from actors.goal_environment import GoalEnvironment
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from actors.task_weights import split_weights
from actors.tasks import Suite
from replay_service.transport import RayTransport
from stars_dist.cluster.coordinator_client import CoordinatorClient
from stars_dist.cluster.learner_members import LearnerMembers
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory


class LearnerStatus(NamedTuple):
    """The learner's answer to the driver: its clocks, and its reports since the last status."""

    learner_steps: int
    env_steps: int
    waited_s: float  # for batches: with the steps it shows that the loop goes round
    reports: tuple[Any, ...]  # of LearnerReport
    lines: tuple[str, ...]  # for the person who watches


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

        task_ids = assign_tasks(plan.num_tasks, plan.num_actors)[actor]
        client = CoordinatorClient(coordinator, plan.config.actors.weights_poll_s, task_ids)
        run, transport = RunDirectory(run_dir), RayTransport(shards)
        self._worker = build_worker(run, plan, transport, actor, incarnation, client.sync)

    def run(self) -> None:
        """Act until all of its tasks have their steps."""
        self._worker.run()


class LearnerProcess:
    """The learner."""

    def __init__(
        self,
        run_dir: Path,
        plan: RunPlan,
        shards: Sequence[Any],
        coordinator: Any,
        checkpoint: Path | None,
        member_options: Mapping[str, Any],
    ) -> None:
        """Build it, and start the further learners of the run with `member_options` of Ray."""
        # Before torch is loaded: threads that spin while they wait take the cores from actors and shards, and an
        # update with two of them beside any load takes ten times as long.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        from learner.prefetch import PrefetchSource
        from stars_dist.build.learner import LONE_SEAT, LearnerOutlets, build_learner, checkpoint_period

        self._coordinator = coordinator
        self._reports: deque[Any] = deque(maxlen=1000)
        self._lines: deque[str] = deque(maxlen=100)
        outlets = LearnerOutlets(self._publish, self._reports.append, self._lines.append)
        run, transport = RunDirectory(run_dir), RayTransport(shards)
        self._members = None
        if plan.num_learners > 1:
            self._members = LearnerMembers(run_dir, plan, shards, checkpoint, member_options)
        self._learner = build_learner(
            run,
            plan,
            transport,
            checkpoint,
            PrefetchSource,
            outlets,
            checkpoint_period(plan),
            self._members.seat if self._members else LONE_SEAT,
        )

    def run(self) -> int:
        """Learn until the run's updates are made or until `stop`; return the learner steps reached.

        Raises:
            LearnerLostError: one of the further learners has ended.
        """
        try:
            self._learner.loop.run()
        except RuntimeError as error:
            if self._members is not None:
                self._members.check(error)
            raise
        finally:
            if self._members is not None:
                self._members.end()
        return self._learner.loop.learner_steps

    def status(self) -> LearnerStatus:
        """Return the clocks and hand over the reports."""
        reports = tuple(self._reports.popleft() for _ in range(len(self._reports)))
        lines = tuple(self._lines.popleft() for _ in range(len(self._lines)))
        learner = self._learner
        return LearnerStatus(
            learner.loop.learner_steps, learner.sampler.env_steps, learner.source.waited_s, reports, lines
        )

    def stop(self) -> None:
        """End `run` after the update in progress, with a checkpoint."""
        self._learner.loop.stop()

    def _publish(self, weights: PolicyWeights) -> None:
        # Each part once in the object store; boxed, or the coordinator would be sent the arrays themselves.
        version, common, of_task = split_weights(weights)
        parts = [ray.put(part) for part in of_task]
        self._coordinator.publish.remote(version, [ray.put(common)], parts)


class EvaluationProcess:
    """One process of an evaluation: evaluates one task after another, episode by episode."""

    def __init__(self) -> None:
        self._steps = 0
        self._policy: NumpyPolicy | None = None
        self._build: Callable[[], GoalEnvironment] | None = None
        self._env: GoalEnvironment | None = None

    def begin(
        self,
        policy: NumpyPolicy,
        suite: Suite,
        task_id: int,
        seed: int,
        environment: EnvironmentConfig,
        goals_path: Path,
    ) -> None:
        """Evaluate this task from now on."""
        from actors.environment import build_environment

        if self._env is not None:
            self._env.close()
        self._policy, self._env = policy, None
        self._build = lambda: build_environment(suite, task_id, seed, (), environment, goals_path)

    def episode(self, number: int) -> EpisodeResult:
        """Run an episode; raises what the environment raised while it was built."""
        from actors.evaluator import run_episode

        assert self._build is not None, "a task is begun before its episodes"
        self._steps += 1
        if self._env is None:
            self._env = self._build()
        return run_episode(self._act, self._env, number)

    def steps(self) -> int:
        """Return a count that changes with every step and episode."""
        return self._steps

    def _act(self, obs: NDArray[np.float32]) -> NDArray[Any]:
        assert self._policy is not None
        self._steps += 1
        return self._policy.act(obs[None])[0]
