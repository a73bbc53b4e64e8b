"""The weights that an actor holds: when it takes newer ones, and when it must wait for them."""

from __future__ import annotations

import logging

from actors.config import ActorsConfig
from actors.policy_weights import PolicyWeights
from replay_service.wait import Wait

logger = logging.getLogger(__name__)


class WeightsClient:
    """Holds one version for the length of a chunk and keeps to learner steps - version <= max_policy_lag."""

    def __init__(self, actor: int, config: ActorsConfig) -> None:
        self.held: PolicyWeights | None = None
        self._arrived: PolicyWeights | None = None  # what is taken before the next chunk
        self._actor = actor
        self._config = config
        self._steps_before_restart: int | None = None
        self._version_before_restart = 0

    @property
    def version(self) -> int | None:
        """The version held; None before the first."""
        return None if self.held is None else self.held.version

    def receive(self, weights: PolicyWeights) -> None:
        """Keep weights for the next `take`."""
        self._arrived = weights

    def take(self, learner_steps: int) -> None:
        """Hold the newest weights received, if any, from now on."""
        newer, self._arrived = self._arrived, None
        if newer is None:
            return
        is_older = self.held is not None and newer.version < self.held.version
        if self.held is not None and is_older and self._exceeds(learner_steps - newer.version):
            self._steps_before_restart, self._version_before_restart = learner_steps, self.held.version
        self.held = newer

    def lag_exceeded(self, learner_steps: int) -> bool:
        """Return whether the held weights are too old to act with."""
        if self._steps_before_restart is not None:
            # The learner went back to a checkpoint. Its old count is no measure of our lag, and waiting until
            # it is reached again would deprive the learner of the transitions that it needs to get there.
            # At the latest it counts again when the learner is where it was.
            is_old = learner_steps >= self._steps_before_restart
            if is_old and (self.version or 0) < self._version_before_restart:
                return False
            self._steps_before_restart = None
        return self._exceeds(learner_steps - (self.version or 0))

    def _exceeds(self, lag: int) -> bool:
        bound = self._config.max_policy_lag
        return bound is not None and lag > bound

    def wait(self) -> Wait:
        """Begin a wait for newer weights; past `weights_deadline_s` its `check` raises TimeoutError."""
        return Wait(logger, self._config.weights_deadline_s)

    def awaited(self, learner_steps: int) -> str:
        """Describe what such a wait is for, with the counters that decide it."""
        return (
            f"actor {self._actor} waits for weights: it holds version {self.version}, the learner is at step "
            f"{learner_steps}, max_policy_lag is {self._config.max_policy_lag}; the learner publishes no weights, "
            f"see its log"
        )
