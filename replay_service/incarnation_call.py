"""The call that begins a task: asks its shard for the number under which an actor's process sends its chunks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from replay_service.transport import Pending, ShardUnavailable
from replay_service.wait import Wait

logger = logging.getLogger(__name__)

RETRY_PERIOD_S = 0.2  # after the shard did not answer


class IncarnationCall:
    """Made again until the shard, which may be starting for minutes, has answered; nothing here waits for that."""

    def __init__(self, submit: Callable[[], Pending], name: str, timeout_s: float, deadline_s: float) -> None:
        """Each call has `timeout_s`, all together `deadline_s`; `name` is the actor's, for the log."""
        self._submit, self._name, self._timeout_s = submit, name, timeout_s
        self._wait = Wait(logger, deadline_s)
        self.pending: Pending | None = None  # None while waiting to be made again
        self._sent_at = self._retry_at = time.monotonic()

    def advance(self) -> int | None:
        """Return the number once it is there.

        Raises:
            ShardUnavailable, TimeoutError: the shard has not answered within the deadline.
        """
        now = time.monotonic()
        if self.pending is None and now >= self._retry_at:
            self.pending, self._sent_at = self._submit(), now
        if self.pending is None or not (self.pending.done() or now > self._sent_at + self._timeout_s):
            self._wait.report(f"{self._name} waits for its shard")
            return None
        pending, self.pending = self.pending, None
        try:
            return pending.result(0.0)
        except (ShardUnavailable, TimeoutError) as error:
            if self._wait.is_over:
                raise
            self._wait.report(f"{self._name} waits for its shard: {error}")
            self._retry_at = now + RETRY_PERIOD_S
            return None
