"""The runner of one environment: its episode in progress and the chunk that it fills."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.goal_environment import GoalEnvironment
from replay_service.types import EpisodeEnd, TransitionBatch

logger = logging.getLogger(__name__)


class EnvironmentFailureError(RuntimeError):
    """Too many episodes of an environment failed in a row."""


class EnvRunner:
    """Steps one environment and keeps the transitions until the chunk is taken.

    An episode that fails, as the environment raises or returns NaN, ends there and is counted; the next one starts
    at once. The transitions before the failure are sound and stay.
    """

    def __init__(
        self,
        environment: GoalEnvironment,
        task: str,
        task_id: int,
        chunk_steps: int,
        max_failed_episodes: int,
    ) -> None:
        self.environment = environment
        self.task = task
        self.task_id = task_id
        self.env_steps = 0
        self.ended_episodes = 0
        self.failed_episodes = 0
        self._max_failed_episodes = max_failed_episodes
        self._failed_in_a_row = 0
        self._episodes: list[EpisodeEnd] = []
        self._filled = 0
        self._chunk = _empty_chunk(environment, task_id, chunk_steps)
        self.restart()

    @property
    def full(self) -> bool:
        """Whether the chunk can be taken."""
        return self._filled == len(self._chunk.reward)

    @property
    def missing_steps(self) -> int:
        """Steps until the chunk is full, unless an episode fails."""
        return len(self._chunk.reward) - self._filled

    def restart(self) -> None:
        """Begin a new episode and give up the one in progress."""
        self._return, self._length = 0.0, 0
        self._success: bool | None = None  # until the environment gives a flag
        while True:
            self._start = self.environment.np_random.bit_generator.state  # with which it may be begun again
            self._actions: list[NDArray[np.float32]] = []
            try:
                self.obs, _ = self.environment.reset()  # f32[O]
                check_finite(self.obs, 0.0)
                return
            except Exception as error:  # whatever a simulation raises, the actor goes on up to the threshold
                self._count_failure(error)

    def step(self, action: NDArray[np.float32], weights_version: int) -> None:
        """Make one step into the next row of the chunk, which must not be full.

        Raises:
            EnvironmentFailureError: more than max_failed_episodes failed in a row.
        """
        self._actions.append(action)
        try:
            next_obs, reward, terminated, truncated, info = self.environment.step(action)
            check_finite(next_obs, reward)
        except Exception as error:  # as above
            self._count_failure(error)
            self.restart()
            return
        chunk, row = self._chunk, self._filled
        chunk.obs[row], chunk.action[row], chunk.reward[row] = self.obs, action, reward
        chunk.next_obs[row], chunk.terminated[row] = next_obs, terminated
        self._filled += 1
        self.env_steps += 1
        self._return += reward
        self._length += 1
        if (flag := info.get("success")) is not None:
            self._success = bool(self._success) or flag > 0.0
        if terminated or truncated:
            self._end_episode(weights_version)
        else:
            self.obs = next_obs

    def take(self) -> tuple[TransitionBatch, tuple[EpisodeEnd, ...]]:
        """Hand over the full chunk, which is the caller's from now on, and the episodes that ended in it."""
        assert self.full, "only a full chunk is sent"
        chunk, episodes = self._chunk, tuple(self._episodes)
        self._chunk = _empty_chunk(self.environment, self.task_id, len(chunk.reward))
        self._filled = 0
        self._episodes.clear()
        return chunk, episodes

    def state_dict(self) -> dict[str, Any]:
        """Return random state, counters and how the episode in progress came about; the chunk must be empty."""
        assert self._filled == 0, "an actor's state is taken between two chunks"
        return {
            "rng": self.environment.np_random.bit_generator.state,
            "env_steps": self.env_steps,
            "ended_episodes": self.ended_episodes,
            "failed_episodes": self.failed_episodes,
            "failed_in_a_row": self._failed_in_a_row,
            "episode": {
                "start": self._start,
                "actions": np.array(self._actions, np.float32),
                "obs": self.obs,
                "return": self._return,
                "success": self._success,
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a state; the episode is begun again and its actions are repeated, which gives the same again.

        Where it does not, as with a simulator that keeps more than its random state over a reset, a new one begins.
        """
        self.env_steps = state["env_steps"]
        self.ended_episodes = state["ended_episodes"]
        self.failed_episodes = state["failed_episodes"]
        self._failed_in_a_row = state["failed_in_a_row"]
        if not self._repeat(state["episode"], state["rng"]):
            logger.warning("the episode of %s in progress cannot be repeated; a new one begins", self.task)
            self.environment.np_random.bit_generator.state = state["rng"]
            self.restart()

    def _repeat(self, episode: dict[str, Any], rng: dict[str, Any]) -> bool:
        """Bring the environment to where an episode was; return whether it came there."""
        self.environment.np_random.bit_generator.state = episode["start"]
        try:
            obs, _ = self.environment.reset()
            for action in episode["actions"]:
                obs, *_ = self.environment.step(action)
        except Exception:  # whatever a simulation raises
            return False
        self._start, self._actions, self.obs = episode["start"], list(episode["actions"]), obs
        self._return, self._length = episode["return"], len(episode["actions"])
        self._success = episode["success"]
        is_same = np.array_equal(obs, episode["obs"])
        return is_same and self.environment.np_random.bit_generator.state == rng

    def _end_episode(self, weights_version: int) -> None:
        self._episodes.append(
            EpisodeEnd(self.task_id, self._return, self._length, self._success, weights_version)
        )
        self.ended_episodes += 1
        self._failed_in_a_row = 0
        self.restart()

    def _count_failure(self, error: Exception) -> None:
        self.failed_episodes += 1
        self._failed_in_a_row += 1
        if self._failed_in_a_row > self._max_failed_episodes:
            raise EnvironmentFailureError(
                f"an environment may fail in at most {self._max_failed_episodes} episodes in a row, "
                f"{self.task} failed in {self._failed_in_a_row}; the last cause: "
                f"{type(error).__name__}: {error}"
            ) from error


def merge_chunks(
    parts: Sequence[tuple[TransitionBatch, tuple[EpisodeEnd, ...]]],
) -> tuple[TransitionBatch, tuple[EpisodeEnd, ...]]:
    """Make one chunk of those of several environments of a task, one environment's rows after another's."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*(chunk for chunk, _ in parts), strict=True)
    chunk = TransitionBatch(*(np.concatenate(column) for column in columns))
    return chunk, tuple(episode for _, episodes in parts for episode in episodes)


def _empty_chunk(environment: GoalEnvironment, task_id: int, rows: int) -> TransitionBatch:
    obs_shape, action_shape = environment.observation_space.shape, environment.action_space.shape
    assert obs_shape is not None and action_shape is not None
    return TransitionBatch(
        obs=np.zeros((rows, *obs_shape), np.float32),
        action=np.zeros((rows, *action_shape), np.float32),
        reward=np.zeros(rows, np.float32),
        next_obs=np.zeros((rows, *obs_shape), np.float32),
        terminated=np.zeros(rows, np.bool_),
        task_id=np.full(rows, task_id, np.int32),
    )


def check_finite(obs: NDArray[np.float32], reward: float) -> None:
    """Raise ValueError if a simulation gave NaN or infinity."""
    if not (math.isfinite(reward) and np.isfinite(obs).all()):
        raise ValueError(f"observation and reward must be finite, got reward {reward} and observation {obs}")
