"""The weights that an actor holds: when it takes newer ones, and when it must wait for them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from actors.config import ActorsConfig
from actors.policy import PolicyWeights

_log = logging.getLogger(__name__)
_LOG_WAIT_S = 10.0

LatestWeights = Callable[[int | None], PolicyWeights | None]
"""Called with the version held (None for none): weights of another version, or None. It does not wait."""


class HeldWeights:
    """Takes what `latest_weights` has, and keeps to the bound learner steps - version <= max_policy_lag."""

    def __init__(self, actor: int, config: ActorsConfig, latest_weights: LatestWeights) -> None:
        self.newest: PolicyWeights | None = None
        self._actor = actor
        self._config = config
        self._latest_weights = latest_weights
        self._steps_before_restart: int | None = None

    @property
    def version(self) -> int | None:
        return None if self.newest is None else self.newest.version

    @property
    def are_trained(self) -> bool:
        """Whether the learner had made an update when it published them."""
        return bool(self.version)

    def look(self, learner_steps: int) -> None:
        """Take newer weights if they are there."""
        newer = self._latest_weights(self.version)
        if newer is None:
            return
        if self.newest is not None and newer.version < self.newest.version:
            self._steps_before_restart = learner_steps
        self.newest = newer

    def lag_exceeded(self, learner_steps: int) -> bool:
        bound = self._config.max_policy_lag
        if self._steps_before_restart is not None:
            # The learner went back to a checkpoint. Its old count is no measure of our lag, and waiting until
            # it is reached again would deprive the learner of the transitions that it needs to get there.
            if learner_steps >= self._steps_before_restart:
                return False
            self._steps_before_restart = None
        return bound is not None and learner_steps - (self.version or 0) > bound

    def report_wait(self, learner_steps: int, start: float, last_log: float) -> float:
        """Log a long wait and end one past its deadline; the time of the latest log line."""
        now = time.monotonic()
        state = (
            f"actor {self._actor} waits {now - start:.0f} s for weights: it holds version "
            f"{self.version}, the learner is at step {learner_steps}, max_policy_lag is "
            f"{self._config.max_policy_lag}"
        )
        if now - start > self._config.weights_deadline_s:
            raise TimeoutError(f"{state}; the learner publishes no weights, see its log")
        if now - last_log > _LOG_WAIT_S:
            _log.warning(state)
            return now
        return last_log
