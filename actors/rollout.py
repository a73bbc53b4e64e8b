"""The rollout worker: steps the environments of an actor's tasks in lock-step and sends transitions in chunks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from actors.assignment import Assignment
from actors.behavior_policy import BehaviorPolicy
from actors.chunk_writer import ChunkWriter
from actors.config import ActorsConfig, EnvironmentConfig
from actors.env_runner import EnvRunner, merge_chunks
from actors.environment import build_environment
from actors.stopwatch import Stopwatch
from actors.sync import ActorStats, Sync
from actors.weights_client import WeightsClient

_ACTION_STREAM = 9001  # keeps the actions' random stream apart from those of the environments


class RolloutWorker:
    """Acts in the environments of its assignment until the writer closes all of its tasks.

    It steps `envs_per_actor` environments in all, at least one of each task; those of one task share its chunks.
    `sync` is called every `weights_poll_s` while it steps or waits, so that silence means that an environment hangs,
    and before each chunk. What it returns takes effect between two chunks, never within one.
    """

    def __init__(
        self,
        assignment: Assignment,
        config: ActorsConfig,
        environment: EnvironmentConfig,
        writer: ChunkWriter,
        sync: Sync,
    ) -> None:
        self._assignment = assignment
        self._config = config
        self._environment = environment
        self._writer = writer
        self._sync = sync
        self._sync_at = 0.0
        self._requested_task_ids: tuple[int, ...] | None = None  # None: those that it was started with
        self._weights = WeightsClient(assignment.actor, config)
        spawn_key = (_ACTION_STREAM, assignment.actor, assignment.incarnation)
        self._rng = np.random.default_rng(np.random.SeedSequence(assignment.seed, spawn_key=spawn_key))
        self._policy = BehaviorPolicy(assignment.suite, config.warmup_actions, self._rng)
        self._stopwatch = Stopwatch("environment", "policy", "sending", "waiting")
        self._built = 0  # environments so far: each has a random stream of its own
        self._left = _Counters(0, 0, 0)  # of the tasks that this actor left
        self._runners: dict[int, list[EnvRunner]] = {}
        for task_id in assignment.task_ids:
            self._runners[task_id] = self._build_runners(task_id, len(assignment.task_ids))

    @property
    def task_ids(self) -> tuple[int, ...]:
        """The tasks that it serves."""
        return tuple(self._runners)

    @property
    def finished(self) -> bool:
        """Whether every task of this actor has used up its step budget."""
        return self._writer.closed

    def run(self) -> None:
        """Act until all of its tasks have their steps, or are others'.

        It waits for the limiter no longer than between two heartbeats, which may bring other tasks.
        """
        while not self.finished:
            self.collect_chunk(self._config.weights_poll_s)

    def collect_chunk(self, timeout_s: float = 0.0) -> int:
        """Fill and send one chunk of every task that the limiter admits; return how many were sent.

        Waits up to `timeout_s` for the first such task. Weights are taken before the chunk, other tasks after it.
        """
        self._sync_if_due()
        with self._stopwatch.timed("waiting"):
            ready = self._writer.ready_tasks(timeout_s)
        tasks = [task_id for task_id in self._runners if task_id in ready]
        if tasks:
            self._take_weights()
            self._collect(tasks)
        if self._requested_task_ids is not None and set(self._requested_task_ids) != set(self._runners):
            self.reassign(self._requested_task_ids)
        return len(tasks)

    def reassign(self, task_ids: Sequence[int]) -> None:
        """Serve these tasks from now on, between two chunks; episodes of a task that is left end unsent."""
        for task_id in set(self._runners) - set(task_ids):
            self._writer.leave(task_id)
            for runner in self._runners.pop(task_id):
                self._left = self._left.plus(runner)
                runner.environment.close()
        for task_id in set(task_ids) - set(self._runners):
            self._writer.take_on(task_id)
            self._runners[task_id] = self._build_runners(task_id, len(task_ids))

    def stats(self) -> ActorStats:
        """Count what it did since its start, and where the time went."""
        seconds, counters = self._stopwatch.seconds, self._left
        for runner in self._all_runners:
            counters = counters.plus(runner)
        return ActorStats(
            self._assignment.actor,
            self._assignment.incarnation,
            *counters,
            weights_version=self._weights.version,
            environment_s=seconds["environment"],
            policy_s=seconds["policy"],
            sending_s=seconds["sending"],
            waiting_s=seconds["waiting"],
            task_ids=self.task_ids,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return random states, counters and episodes in progress as plain data and arrays, between two chunks."""
        return {
            "rng": self._rng.bit_generator.state,
            "runners": [runner.state_dict() for runner in self._all_runners],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of a worker with the same tasks and environments."""
        self._rng.bit_generator.state = state["rng"]
        for runner, runner_state in zip(self._all_runners, state["runners"], strict=True):
            runner.load_state_dict(runner_state)

    @property
    def _all_runners(self) -> list[EnvRunner]:
        return [runner for runners in self._runners.values() for runner in runners]

    def _build_runners(self, task_id: int, num_tasks: int) -> list[EnvRunner]:
        """Build the environments of one task, each with its share of the task's chunks."""
        chunk_steps, count = self._config.chunk_steps, self._config.envs_per_task(num_tasks)
        return [self._build_runner(task_id, (chunk_steps + i) // count) for i in range(count)]

    def _build_runner(self, task_id: int, chunk_steps: int) -> EnvRunner:
        assignment = self._assignment
        stream = (assignment.actor, assignment.incarnation, self._built)
        self._built += 1
        env = build_environment(
            assignment.suite, task_id, assignment.seed, stream, self._environment, assignment.goals_path
        )
        if self._config.training_horizon is not None:
            env.horizon = min(env.horizon, self._config.training_horizon)
        name = assignment.suite.tasks[task_id].name
        return EnvRunner(env, name, task_id, chunk_steps, self._config.max_failed_episodes)

    def _collect(self, tasks: Sequence[int]) -> None:
        """Fill a chunk of each task and send it."""
        runners = [runner for task_id in tasks for runner in self._runners[task_id]]
        with self._stopwatch.timed("policy"):
            self._policy.compose(self._weights.held, [runner.task_id for runner in runners])
        while not all(runner.full for runner in runners):
            self._step(runners)
        for task_id in tasks:
            with self._stopwatch.timed("sending"):
                chunk, episodes = merge_chunks([runner.take() for runner in self._runners[task_id]])
                self._writer.write(chunk, episodes, weights_version=self._weights.version or 0)

    def _step(self, runners: Sequence[EnvRunner]) -> None:
        start = time.perf_counter()
        actions = self._policy.act(runners)
        acted = time.perf_counter()
        for runner, action in zip(runners, actions, strict=True):
            if not runner.full:  # one whose episode failed is some rows behind
                runner.step(action, self._weights.version or 0)
        self._stopwatch.seconds["policy"] += acted - start
        self._stopwatch.seconds["environment"] += time.perf_counter() - acted
        self._sync_if_due()

    def _take_weights(self) -> None:
        """Take newer weights if there are any; wait for them while the lag is past its bound."""
        self._sync_now()
        self._weights.take(self._writer.learner_steps)
        if not self._weights.lag_exceeded(self._writer.learner_steps):
            return
        wait = self._weights.wait()
        while self._weights.lag_exceeded(self._writer.learner_steps):
            wait.check(self._weights.awaited(self._writer.learner_steps))
            with self._stopwatch.timed("waiting"):
                time.sleep(self._config.weights_poll_s)
            self._writer.ready_tasks()  # takes the acknowledgements that have arrived
            self._sync_now()
            self._weights.take(self._writer.learner_steps)

    def _sync_if_due(self) -> None:
        # The syncs before chunks do not put this one off: a client that sends at most one heartbeat per
        # weights_poll_s passes over them, and its next heartbeat would come up to twice as late.
        if time.monotonic() >= self._sync_at:
            self._sync_now()
            self._sync_at = time.monotonic() + self._config.weights_poll_s

    def _sync_now(self) -> None:
        weights, task_ids = self._sync(self.stats())
        if weights is not None:
            self._weights.receive(weights)
        if task_ids is not None:
            self._requested_task_ids = task_ids


class _Counters(NamedTuple):
    env_steps: int
    ended_episodes: int
    failed_episodes: int

    def plus(self, runner: EnvRunner) -> _Counters:
        return _Counters(
            self.env_steps + runner.env_steps,
            self.ended_episodes + runner.ended_episodes,
            self.failed_episodes + runner.failed_episodes,
        )
