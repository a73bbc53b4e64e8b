"""The rollout actor: steps the environments of its tasks in lock-step and sends what happened in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from actors.assignment import Assignment
from actors.config import ActorsConfig, EnvironmentConfig
from actors.env_runner import EnvRunner, merge_chunks
from actors.environment import build_environment
from actors.policy import NumpyPolicy
from actors.sync import ActorStats, Sync
from actors.weights_client import WeightsClient
from replay_service.types import EpisodeEnd, TransitionBatch

_ACTION_STREAM = 9001  # keeps the actions' random stream apart from those of the environments


class ChunkWriter(Protocol):
    """Where chunks go: `replay_service.writer.ReplayWriter`, whose import would bring ray with it."""

    @property
    def learner_steps(self) -> int: ...

    @property
    def closed(self) -> bool: ...

    def ready_tasks(self, timeout_s: float = 0.0) -> list[int]: ...

    def write(
        self, transitions: TransitionBatch, episodes: Sequence[EpisodeEnd], weights_version: int
    ) -> None: ...

    def take_on(self, task: int) -> None: ...

    def leave(self, task: int) -> None: ...


class RolloutWorker:
    """Acts in the environments of its assignment until the writer closes all of its tasks.

    It steps `envs_per_actor` environments in all, at least one of each task; those of one task share its chunks.
    `sync` is called every `weights_poll_s` while it steps or waits, so that silence means that an environment hangs,
    and before each chunk. What it returns is acted on between two chunks.
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
        self._asked_to_serve: tuple[int, ...] | None = None
        self._weights = WeightsClient(assignment.actor, config)
        self._policy: NumpyPolicy | None = None
        self._composed_for: tuple[int | None, list[int]] = (None, [])
        self._noise: Iterator[NDArray[np.float32]] = iter(())  # of the chunk's coming steps
        self._seconds = {"environment": 0.0, "policy": 0.0, "sending": 0.0, "waiting": 0.0}
        self._rng = np.random.default_rng(
            np.random.SeedSequence(
                assignment.seed, spawn_key=(_ACTION_STREAM, assignment.actor, assignment.incarnation)
            )
        )
        mask = assignment.suite.action_mask
        self._action_mask = mask if (mask == 0.0).any() else None  # none where every task has all components
        self._built = 0  # environments so far: each has a random stream of its own
        self._left = _Counters(0, 0, 0)  # of the tasks that this actor left
        self._runners: dict[int, list[EnvRunner]] = {}
        for task_id in assignment.task_ids:
            self._runners[task_id] = self._build_runners(task_id, len(assignment.task_ids))

    @property
    def task_ids(self) -> tuple[int, ...]:
        return tuple(self._runners)

    @property
    def finished(self) -> bool:
        """Whether every task of this actor has used up its step budget."""
        return self._writer.closed

    def collect_chunk(self, timeout_s: float = 0.0) -> int:
        """Fill and send one chunk of every task that the limiter lets go on; return how many were sent.

        Waits up to `timeout_s` for the first such task. Weights and tasks change here, never within a chunk.
        """
        self._sync_if_due()
        with self._timed("waiting"):
            ready = self._writer.ready_tasks(timeout_s)
        sent = self._collect(ready)
        if self._asked_to_serve is not None and set(self._asked_to_serve) != set(self._runners):
            self.reassign(self._asked_to_serve)
        return sent

    def _collect(self, ready: Sequence[int]) -> int:
        tasks = [task_id for task_id in self._runners if task_id in ready]
        if not tasks:
            return 0
        runners = [runner for task_id in tasks for runner in self._runners[task_id]]
        self._take_weights()
        self._compose([runner.task_id for runner in runners])
        while not all(runner.full for runner in runners):
            self._step(runners)
        for task_id in tasks:
            with self._timed("sending"):
                chunk, episodes = merge_chunks([runner.take() for runner in self._runners[task_id]])
                self._writer.write(chunk, episodes, weights_version=self._weights.version or 0)
        return len(tasks)

    def reassign(self, task_ids: Sequence[int]) -> None:
        """Serve these tasks from now on; call it between two chunks. Episodes of a task that is left end unsent."""
        for task_id in set(self._runners) - set(task_ids):
            self._writer.leave(task_id)
            for runner in self._runners.pop(task_id):
                self._left = self._left.plus(runner)
                runner.environment.close()
        for task_id in set(task_ids) - set(self._runners):
            self._writer.take_on(task_id)
            self._runners[task_id] = self._build_runners(task_id, len(task_ids))

    def stats(self) -> ActorStats:
        seconds, counters = self._seconds, self._left
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
        )

    def state_dict(self) -> dict[str, Any]:
        """Random states and counters, as plain data; call it between two chunks.

        The simulation's state is not in it: episodes in progress are given up and begun anew on load.
        """
        return {
            "rng": self._rng.bit_generator.state,
            "runners": [runner.state_dict() for runner in self._all_runners],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        for runner, runner_state in zip(self._all_runners, state["runners"], strict=True):
            runner.load_state_dict(runner_state)

    @property
    def _all_runners(self) -> list[EnvRunner]:
        return [runner for runners in self._runners.values() for runner in runners]

    def _build_runners(self, task_id: int, num_tasks: int) -> list[EnvRunner]:
        """The environments of one task, and their shares of its chunks."""
        chunk_steps = self._config.chunk_steps
        count = min(max(1, self._config.envs_per_actor // num_tasks), chunk_steps)
        return [self._build_runner(task_id, (chunk_steps + i) // count) for i in range(count)]

    def _build_runner(self, task_id: int, chunk_steps: int) -> EnvRunner:
        assignment = self._assignment
        stream = (assignment.actor, assignment.incarnation, self._built)
        self._built += 1
        env = build_environment(
            assignment.suite, task_id, assignment.seed, stream, self._environment, assignment.goals_path
        )
        name = assignment.suite.tasks[task_id].name
        return EnvRunner(env, name, task_id, chunk_steps, self._config.max_failed_episodes)

    def _step(self, runners: Sequence[EnvRunner]) -> None:
        start = time.perf_counter()
        actions = self._act(runners)
        acted = time.perf_counter()
        for runner, action in zip(runners, actions, strict=True):
            if not runner.full:  # one that broke off an episode is some rows behind
                runner.step(action, self._weights.version or 0)
        self._seconds["policy"] += acted - start
        self._seconds["environment"] += time.perf_counter() - acted
        self._sync_if_due()

    def _act(self, runners: Sequence[EnvRunner]) -> NDArray[np.float32]:
        """Actions f32[E, A] for E environments; components that a task does not have are zero."""
        actions = self._sample(runners)
        if self._action_mask is None:
            return actions
        return actions * self._action_mask[[runner.task_id for runner in runners]]

    def _sample(self, runners: Sequence[EnvRunner]) -> NDArray[np.float32]:
        warming_up = not self._weights.are_trained and self._config.warmup_actions == "random"
        if self._policy is None or warming_up:
            shape = (len(runners), self._assignment.suite.action_dim)
            return self._rng.uniform(-1.0, 1.0, shape).astype(np.float32)
        obs = np.array([runner.obs for runner in runners])  # in half of np.stack's time
        noise = next(self._noise, None)
        if noise is None:  # drawn for the rest of the chunk at once; a broken episode makes it longer
            steps = max(runner.missing_steps for runner in runners)
            self._noise = iter(self._policy.draw_noise(self._rng, steps))
            noise = next(self._noise)
        return self._policy.act(obs, noise)

    def _compose(self, task_ids: list[int]) -> None:
        """Compose the policy anew if the weights or the environments to act in have changed."""
        composed_for = (self._weights.version, task_ids)
        if self._weights.held is not None and composed_for != self._composed_for:
            with self._timed("policy"):
                self._policy = NumpyPolicy(self._weights.held, task_ids, self._assignment.suite.obs_dim)
            self._composed_for = composed_for

    def _take_weights(self) -> None:
        """Take newer weights if there are any; wait for them while the lag is past its bound."""
        self._sync_now()
        self._weights.take(self._writer.learner_steps)
        if not self._weights.lag_exceeded(self._writer.learner_steps):
            return
        wait = self._weights.wait()
        while self._weights.lag_exceeded(self._writer.learner_steps):
            wait.check(self._weights.awaited(self._writer.learner_steps))
            with self._timed("waiting"):
                time.sleep(self._config.weights_poll_s)
            self._writer.ready_tasks()  # hears the acknowledgements that have come
            self._sync_now()
            self._weights.take(self._writer.learner_steps)

    def _sync_if_due(self) -> None:
        if time.monotonic() >= self._sync_at:
            self._sync_now()

    def _sync_now(self) -> None:
        self._sync_at = time.monotonic() + self._config.weights_poll_s
        weights, task_ids = self._sync(self.stats())
        if weights is not None:
            self._weights.receive(weights)
        if task_ids is not None:
            self._asked_to_serve = task_ids

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += time.perf_counter() - start


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
