"""The rollout actor: steps the environments of its tasks in lock-step and sends what happened in chunks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from actors.assignment import Assignment
from actors.config import ActorsConfig, EnvironmentConfig
from actors.environment import build_environment
from actors.lane import Lane
from actors.policy import NumpyPolicy, PolicyWeights
from replay_service.types import EpisodeEnd, TransitionBatch

_log = logging.getLogger(__name__)
_ACTION_STREAM = 9001  # keeps the actions' random stream apart from those of the environments
_LOG_WAIT_S = 10.0
_READY_TIMEOUT_S = 0.5  # how long run() waits for the limiter before it asks again whether to stop

LatestWeights = Callable[[int | None], PolicyWeights | None]
"""Called with the version held (None for none): weights of another version, or None if there are none."""


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
    """Acts in the environments of its assignment until the writer closes all of its tasks."""

    def __init__(
        self,
        assignment: Assignment,
        config: ActorsConfig,
        environment: EnvironmentConfig,
        writer: ChunkWriter,
        latest_weights: LatestWeights,
    ) -> None:
        self._assignment = assignment
        self._config = config
        self._writer = writer
        self._latest_weights = latest_weights
        self._weights: PolicyWeights | None = None
        self._policy: NumpyPolicy | None = None
        self._composed_for: tuple[int | None, list[int]] = (None, [])
        self._steps_before_restart: int | None = None
        self._seconds = {"environment": 0.0, "policy": 0.0, "sending": 0.0, "waiting": 0.0}
        actor = (assignment.actor, assignment.incarnation)
        self._rng = np.random.default_rng(
            np.random.SeedSequence(assignment.seed, spawn_key=(_ACTION_STREAM, *actor))
        )
        self._lanes = [
            self._build_lane(task_id, (*actor, slot), environment)
            for slot, task_id in enumerate(assignment.task_ids)
        ]

    @property
    def finished(self) -> bool:
        """Whether every task of this actor has used up its step budget."""
        return self._writer.closed

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Collect chunk after chunk until told to stop or finished."""
        while not self.finished and not should_stop():
            self.collect_chunk(_READY_TIMEOUT_S, should_stop)

    def collect_chunk(self, timeout_s: float = 0.0, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Fill and send one chunk of every environment whose task the limiter lets go on; how many were sent.

        Waits up to `timeout_s` for the first such task. Weights are taken here, never within a chunk.
        """
        with self._timed("waiting"):
            ready = self._writer.ready_tasks(timeout_s)
        lanes = [lane for lane in self._lanes if lane.task_id in ready]
        if not lanes or not self._take_weights(should_stop):
            return 0
        self._compose([lane.task_id for lane in lanes])
        while not all(lane.full for lane in lanes):
            self._step(lanes)
        for lane in lanes:
            with self._timed("sending"):
                self._writer.write(*lane.take(), weights_version=self._version or 0)
        return len(lanes)

    def stats(self) -> ActorStats:
        seconds = self._seconds
        return ActorStats(
            self._assignment.actor,
            self._assignment.incarnation,
            env_steps=sum(lane.env_steps for lane in self._lanes),
            ended_episodes=sum(lane.ended_episodes for lane in self._lanes),
            failed_episodes=sum(lane.failed_episodes for lane in self._lanes),
            weights_version=self._version,
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
            "lanes": [lane.state_dict() for lane in self._lanes],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        for lane, lane_state in zip(self._lanes, state["lanes"], strict=True):
            lane.load_state_dict(lane_state)

    @property
    def _version(self) -> int | None:
        return None if self._weights is None else self._weights.version

    def _build_lane(self, task_id: int, stream: tuple[int, ...], environment: EnvironmentConfig) -> Lane:
        suite, seed, goals_path = self._assignment.suite, self._assignment.seed, self._assignment.goals_path
        env = build_environment(suite, task_id, seed, stream, environment, goals_path)
        name = suite.tasks[task_id].name
        return Lane(env, name, task_id, self._config.chunk_steps, self._config.max_failed_episodes)

    def _step(self, lanes: Sequence[Lane]) -> None:
        with self._timed("policy"):
            actions = self._act(lanes)
        with self._timed("environment"):
            for lane, action in zip(lanes, actions, strict=True):
                if not lane.full:  # one that broke off an episode is some rows behind
                    lane.step(action, self._version or 0)

    def _act(self, lanes: Sequence[Lane]) -> NDArray[np.float32]:
        """Actions f32[E, A] for E environments."""
        untrained = not self._version  # none yet, or version 0: the learner has made no update
        if self._policy is None or (untrained and self._config.warmup_actions == "random"):
            shape = (len(lanes), self._assignment.suite.action_dim)
            return self._rng.uniform(-1.0, 1.0, shape).astype(np.float32)
        return self._policy.act(np.stack([lane.obs for lane in lanes]), self._rng)

    def _compose(self, task_ids: list[int]) -> None:
        """Compose the policy anew if the weights or the tasks to act in have changed."""
        composed_for = (self._version, task_ids)
        if self._weights is not None and composed_for != self._composed_for:
            with self._timed("policy"):
                self._policy = NumpyPolicy(self._weights, task_ids, self._assignment.suite.obs_dim)
            self._composed_for = composed_for

    def _take_weights(self, should_stop: Callable[[], bool]) -> bool:
        """Take newer weights if there are any; wait for them while the lag is past its bound.

        Whether the actor may act; not if it was told to stop while waiting.
        """
        self._look_for_weights()
        start = last_log = time.monotonic()
        while self._lag_exceeded():
            if should_stop():
                return False
            last_log = self._report_wait(start, last_log)
            with self._timed("waiting"):
                time.sleep(self._config.weights_poll_s)
            self._writer.ready_tasks()  # hears the acknowledgements that have come
            self._look_for_weights()
        return True

    def _look_for_weights(self) -> None:
        newer = self._latest_weights(self._version)
        if newer is None:
            return
        if self._weights is not None and newer.version < self._weights.version:
            self._steps_before_restart = self._writer.learner_steps
        self._weights = newer

    def _lag_exceeded(self) -> bool:
        bound, learner_steps = self._config.max_policy_lag, self._writer.learner_steps
        if self._steps_before_restart is not None:
            # The learner went back to a checkpoint. Its old count is no measure of our lag, and waiting until
            # it is reached again would deprive the learner of the transitions that it needs to get there.
            if learner_steps >= self._steps_before_restart:
                return False
            self._steps_before_restart = None
        return bound is not None and learner_steps - (self._version or 0) > bound

    def _report_wait(self, start: float, last_log: float) -> float:
        """Log a long wait and end one past its deadline; the time of the latest log line."""
        now = time.monotonic()
        state = (
            f"actor {self._assignment.actor} waits {now - start:.0f} s for weights: it holds version "
            f"{self._version}, the learner is at step {self._writer.learner_steps}, max_policy_lag is "
            f"{self._config.max_policy_lag}"
        )
        if now - start > self._config.weights_deadline_s:
            raise TimeoutError(f"{state}; the learner publishes no weights, see its log")
        if now - last_log > _LOG_WAIT_S:
            _log.warning(state)
            return now
        return last_log

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[part] += time.perf_counter() - start
