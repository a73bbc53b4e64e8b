"""Calls of every shard at once, and which of the shards do not answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from replay_service.plan import ReplayPlan
from replay_service.transport import Pending, ShardUnavailable, Transport
from replay_service.wait import Wait

logger = logging.getLogger(__name__)

SHORTEST_CALL_S = 0.5  # a poll takes a round trip, also at the deadline
RETRY_PERIOD_S = 0.2  # after a shard did not answer


class ShardCalls:
    """The sampler's calls; each goes to all shards before the first answer is awaited."""

    def __init__(self, plan: ReplayPlan, transport: Transport) -> None:
        self._replay, self._transport = plan.replay, transport
        self._num_shards = plan.num_shards
        self.down: set[int] = set()  # that did not answer the newest call

    def submit(self, *call: Any) -> list[Pending]:
        """Send a call, method first, to every shard."""
        return [self._transport.submit(shard, *call) for shard in range(self._num_shards)]

    def ask(self, *call: Any, timeout_s: float | None = None) -> Iterator[tuple[int, Any]]:
        """Yield each shard with its answer; those that do not answer are left out."""
        for shard, answer in enumerate(self.submit(*call)):
            try:
                value = answer.result(self._replay.call_timeout_s if timeout_s is None else timeout_s)
            except (ShardUnavailable, TimeoutError):
                self.down.add(shard)
                continue
            self.down.discard(shard)
            yield shard, value

    def insist(self, shard: int, pending: Pending, call: tuple[Any, ...], wait: Wait) -> Any:
        """Return a shard's answer to a call that was sent, which is sent again until it comes or the wait is over."""
        while True:
            try:
                return pending.result(self.timeout_s(wait))
            except (ShardUnavailable, TimeoutError) as error:
                wait.check(f"sampling waits: {error}")
            wait.sleep(RETRY_PERIOD_S)
            pending = self._transport.submit(shard, *call)

    def timeout_s(self, wait: Wait) -> float:
        """Return how long a call within a wait may take."""
        return min(max(wait.remaining_s, SHORTEST_CALL_S), self._replay.call_timeout_s)

    def flush(self) -> None:
        """Have every shard bring to the disk what it holds by now."""
        if self._replay.storage == "memory":
            return
        for shard, answer in enumerate(self.submit("flush")):
            try:
                answer.result(self._replay.call_timeout_s)
            except (ShardUnavailable, TimeoutError, OSError) as error:
                logger.warning("the checkpoint is written without shard %d on the disk: %s", shard, error)
