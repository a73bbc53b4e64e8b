"""The rollout actor: steps the environments of its tasks in lock-step and sends what happened in chunks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from actors.assignment import Assignment
from actors.config import ActorsConfig, EnvironmentConfig
from actors.environment import build_environment
from actors.held_weights import HeldWeights, LatestWeights
from actors.lane import Lane, merge_chunks
from actors.policy import NumpyPolicy
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


class ActorStats(NamedTuple):
    """What an actor did since its start, and where its time went."""

    actor: int
    incarnation: int
    env_steps: int
    ended_episodes: int
    failed_episodes: int
    weights_version: int | None
    environment_s: float
    policy_s: float
    sending_s: float
    waiting_s: float

    def shares(self) -> dict[str, float]:
        """Fractions of the measured time, by the names of `perf/actor/*`."""
        parts = {
            "environment": self.environment_s,
            "policy": self.policy_s,
            "sending": self.sending_s,
            "waiting": self.waiting_s,
        }
        total = sum(parts.values())
        return {name: seconds / total if total else 0.0 for name, seconds in parts.items()}


class RolloutWorker:
    """Acts in the environments of its assignment until the writer closes all of its tasks.

    It steps `envs_per_actor` environments in all, at least one of each task; those of one task share its chunks.
    `report` is called every `weights_poll_s` while it steps or waits, so that silence means that an environment
    hangs. Neither `report` nor `latest_weights` may wait.
    """

    def __init__(
        self,
        assignment: Assignment,
        config: ActorsConfig,
        environment: EnvironmentConfig,
        writer: ChunkWriter,
        latest_weights: LatestWeights,
        report: Callable[[ActorStats], None] = lambda _: None,
    ) -> None:
        self._assignment = assignment
        self._config = config
        self._environment = environment
        self._writer = writer
        self._report = report
        self._report_at = 0.0
        self._held = HeldWeights(assignment.actor, config, latest_weights)
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
        self._lanes: dict[int, list[Lane]] = {}
        for task_id in assignment.task_ids:
            self._lanes[task_id] = self._build_lanes(task_id, len(assignment.task_ids))

    @property
    def task_ids(self) -> tuple[int, ...]:
        return tuple(self._lanes)

    @property
    def finished(self) -> bool:
        """Whether every task of this actor has used up its step budget."""
        return self._writer.closed

    def collect_chunk(self, timeout_s: float = 0.0) -> int:
        """Fill and send one chunk of every task that the limiter lets go on; how many were sent.

        Waits up to `timeout_s` for the first such task. Weights are taken here, never within a chunk.
        """
        self._report_if_due()
        with self._timed("waiting"):
            ready = self._writer.ready_tasks(timeout_s)
        tasks = [task_id for task_id in self._lanes if task_id in ready]
        if not tasks:
            return 0
        lanes = [lane for task_id in tasks for lane in self._lanes[task_id]]
        self._take_weights()
        self._compose([lane.task_id for lane in lanes])
        while not all(lane.full for lane in lanes):
            self._step(lanes)
        for task_id in tasks:
            with self._timed("sending"):
                chunk, episodes = merge_chunks([lane.take() for lane in self._lanes[task_id]])
                self._writer.write(chunk, episodes, weights_version=self._held.version or 0)
        return len(tasks)

    def reassign(self, task_ids: Sequence[int]) -> None:
        """Serve these tasks from now on; call it between two chunks. Episodes of a task that is left end unsent."""
        for task_id in set(self._lanes) - set(task_ids):
            self._writer.leave(task_id)
            for lane in self._lanes.pop(task_id):
                self._left = self._left.plus(lane)
                lane.environment.close()
        for task_id in set(task_ids) - set(self._lanes):
            self._writer.take_on(task_id)
            self._lanes[task_id] = self._build_lanes(task_id, len(task_ids))

    def stats(self) -> ActorStats:
        seconds, counters = self._seconds, self._left
        for lane in self._all_lanes:
            counters = counters.plus(lane)
        return ActorStats(
            self._assignment.actor,
            self._assignment.incarnation,
            *counters,
            weights_version=self._held.version,
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
            "lanes": [lane.state_dict() for lane in self._all_lanes],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        for lane, lane_state in zip(self._all_lanes, state["lanes"], strict=True):
            lane.load_state_dict(lane_state)

    @property
    def _all_lanes(self) -> list[Lane]:
        return [lane for lanes in self._lanes.values() for lane in lanes]

    def _build_lanes(self, task_id: int, num_tasks: int) -> list[Lane]:
        """The environments of one task, and their shares of its chunks."""
        chunk_steps = self._config.chunk_steps
        count = min(max(1, self._config.envs_per_actor // num_tasks), chunk_steps)
        return [self._build_lane(task_id, (chunk_steps + i) // count) for i in range(count)]

    def _build_lane(self, task_id: int, chunk_steps: int) -> Lane:
        assignment = self._assignment
        stream = (assignment.actor, assignment.incarnation, self._built)
        self._built += 1
        env = build_environment(
            assignment.suite, task_id, assignment.seed, stream, self._environment, assignment.goals_path
        )
        name = assignment.suite.tasks[task_id].name
        return Lane(env, name, task_id, chunk_steps, self._config.max_failed_episodes)

    def _step(self, lanes: Sequence[Lane]) -> None:
        start = time.perf_counter()
        actions = self._act(lanes)
        acted = time.perf_counter()
        for lane, action in zip(lanes, actions, strict=True):
            if not lane.full:  # one that broke off an episode is some rows behind
                lane.step(action, self._held.version or 0)
        self._seconds["policy"] += acted - start
        self._seconds["environment"] += time.perf_counter() - acted
        self._report_if_due()

    def _act(self, lanes: Sequence[Lane]) -> NDArray[np.float32]:
        """Actions f32[E, A] for E environments; components that a task does not have are zero."""
        actions = self._sample(lanes)
        if self._action_mask is None:
            return actions
        return actions * self._action_mask[[lane.task_id for lane in lanes]]

    def _sample(self, lanes: Sequence[Lane]) -> NDArray[np.float32]:
        warming_up = not self._held.are_trained and self._config.warmup_actions == "random"
        if self._policy is None or warming_up:
            shape = (len(lanes), self._assignment.suite.action_dim)
            return self._rng.uniform(-1.0, 1.0, shape).astype(np.float32)
        obs = np.array([lane.obs for lane in lanes])  # in half of np.stack's time
        noise = next(self._noise, None)
        if noise is None:  # drawn for the rest of the chunk at once; a broken episode makes it longer
            steps = max(lane.missing_steps for lane in lanes)
            self._noise = iter(self._policy.draw_noise(self._rng, steps))
            noise = next(self._noise)
        return self._policy.act(obs, noise)

    def _compose(self, task_ids: list[int]) -> None:
        """Compose the policy anew if the weights or the environments to act in have changed."""
        composed_for = (self._held.version, task_ids)
        if self._held.newest is not None and composed_for != self._composed_for:
            with self._timed("policy"):
                self._policy = NumpyPolicy(self._held.newest, task_ids, self._assignment.suite.obs_dim)
            self._composed_for = composed_for

    def _take_weights(self) -> None:
        """Take newer weights if there are any; wait for them while the lag is past its bound."""
        self._held.look(self._writer.learner_steps)
        start = last_log = time.monotonic()
        while self._held.lag_exceeded(self._writer.learner_steps):
            last_log = self._held.report_wait(self._writer.learner_steps, start, last_log)
            self._report_if_due()
            with self._timed("waiting"):
                time.sleep(self._config.weights_poll_s)
            self._writer.ready_tasks()  # hears the acknowledgements that have come
            self._held.look(self._writer.learner_steps)

    def _report_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._report_at:
            self._report_at = now + self._config.weights_poll_s
            self._report(self.stats())

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

    def plus(self, lane: Lane) -> _Counters:
        return _Counters(
            self.env_steps + lane.env_steps,
            self.ended_episodes + lane.ended_episodes,
            self.failed_episodes + lane.failed_episodes,
        )
