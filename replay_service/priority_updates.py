"""Priority updates in flight: new priorities of drawn rows on their way to the shards."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from replay_service.plan import ReplayPlan
from replay_service.priority import check_priorities
from replay_service.transport import Pending, ShardUnavailable, Transport
from replay_service.types import SampledBatch

CALLS_PER_SHARD = 4  # in flight; a caller with more waits for the oldest


class PriorityUpdates:
    """Sends priorities without waiting for the shards; may be called from any thread."""

    def __init__(self, plan: ReplayPlan, transport: Transport) -> None:
        self._plan = plan
        self._transport = transport
        self._lock = threading.Lock()
        self._calls: deque[Pending] = deque()
        self.lost = 0  # calls that found their shard down; its rows keep the priorities that they had

    def send(self, batches: Sequence[SampledBatch], priority: Sequence[NDArray]) -> None:
        """Send the priorities of the rows of each batch, in row order, to the shards that hold them.

        Raises:
            ValueError: a batch has not one priority per row, or one is negative or not finite; nothing is sent.
        """
        expected, got = [len(b.transitions.reward) for b in batches], [len(p) for p in priority]
        if expected != got:
            raise ValueError(
                f"priorities must be one per row of each batch, {expected} rows, got {got}; nothing is sent"
            )
        task_id = np.concatenate([batch.transitions.task_id for batch in batches])
        shard = np.concatenate([batch.info.shard for batch in batches])
        key = np.concatenate([batch.info.key for batch in batches])
        value = np.concatenate(priority).astype(np.float64, copy=False)
        self._submit(shard, task_id, key, value)

    def send_rows(
        self, task_id: NDArray[np.int32], key: NDArray[np.int64], priority: NDArray[np.float64]
    ) -> None:
        """Send the priorities of rows named by task and key; ValueError as `send`."""
        self._submit(task_id % self._plan.num_shards, task_id, key, priority)

    def _submit(
        self,
        shard: NDArray[np.int32],
        task_id: NDArray[np.int32],
        key: NDArray[np.int64],
        value: NDArray[np.float64],
    ) -> None:
        check_priorities(value, task_id, key)
        with self._lock:
            for index in range(self._plan.num_shards):
                mine = np.flatnonzero(shard == index)
                if len(mine):
                    call = ("update_priorities", task_id[mine], key[mine], value[mine])
                    self._calls.append(self._transport.submit(index, *call))
            self._finish_calls()

    def _finish_calls(self) -> None:
        most = CALLS_PER_SHARD * self._plan.num_shards
        while self._calls and (self._calls[0].done() or len(self._calls) > most):
            try:
                self._calls.popleft().result(self._plan.replay.call_timeout_s)
            except (ShardUnavailable, TimeoutError):
                self.lost += 1
