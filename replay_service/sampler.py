"""The sampler: the learner's client, which draws batches from all shards and sends priorities back."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay_service.batching import merge_samples
from replay_service.plan import ReplayPlan
from replay_service.priority import effective_sample_size
from replay_service.priority_updates import PriorityUpdates
from replay_service.row_feed import ShardRows
from replay_service.service_view import ServiceView
from replay_service.shard_calls import ShardCalls
from replay_service.table import TableEmpty
from replay_service.task_priority import task_probability, task_quotas
from replay_service.transport import Transport
from replay_service.types import SampledBatch, SamplerState, ShardSample, ShardStats
from replay_service.wait import Wait

logger = logging.getLogger(__name__)

SHORTEST_POLL_S, LONGEST_POLL_S = 0.005, 0.2  # a long wait must not cost the cores that it waits for


class SampleTimeout(TimeoutError):  # noqa: N818 - names what happened, as queue.Empty does
    """The limiter, the warm-up or a shard did not admit a sample before the deadline."""


class ReplayFinished(Exception):  # noqa: N818 - not an error
    """Every task's step budget is stored and the samples-per-insert ratio admits no further batch."""


class ReplaySampler:
    """Draws batches at the configured ratio. Any method may be called in any thread, `sample` in several at once."""

    def __init__(self, plan: ReplayPlan, transport: Transport) -> None:
        self._plan, self._transport = plan, transport
        self._calls = ShardCalls(plan, transport)
        self._limiter = plan.limiter()
        self._view = ServiceView(plan)
        self._updates = PriorityUpdates(plan, transport)
        self._quota, self._quota_rates = np.zeros(plan.num_tasks, np.int64), b""
        self._inserts_at_loss: int | None = None  # until what was lost is refilled
        self._lock = threading.Lock()  # of all but the priority updates
        self.newest_group_sizes = np.zeros(plan.num_tasks, np.int64)  # i64[T], of the newest batch
        self.newest_effective_size = float("nan")  # share of the newest batch that its weights let count

    @property
    def env_steps(self) -> int:
        """Transitions stored in this run, all tasks together."""
        return int(self._view.inserted.sum())

    @property
    def stats(self) -> list[ShardStats]:
        """The newest counters of each shard that has answered."""
        return [stats for stats in self._view.stats if stats is not None]

    @property
    def limiter_cursor(self) -> float:
        """Rows that may still be drawn at the configured ratio; within plus or minus the error buffer."""
        return self._limiter.cursor

    @property
    def lost_updates(self) -> int:
        """Calls of `update_priorities` that found a shard down."""
        return self._updates.lost

    @property
    def task_probability(self) -> NDArray[np.float64]:
        """The share of each task in the next batch, f64[T]."""
        return task_probability(self._view.success_rate, self._plan.sampling.task_priority)

    def metrics(self) -> dict[str, float]:
        """Return what only the learner's side knows of the service, by metric name."""
        limiter = self._limiter
        return {
            "replay/limiter_cursor": limiter.cursor,
            "replay/limiter_error_buffer": limiter.error_buffer,
            "replay/limiter_inserts_left": float(limiter.allowed_inserts() - limiter.inserts),
            "replay/effective_sample_size": self.newest_effective_size,
            "replay/lost_updates": float(self.lost_updates),
        }

    def refresh(self, learner_steps: int) -> None:
        """Send every shard its insert limit and record the counters that it answers with; draws nothing."""
        with self._lock:
            self._refresh(learner_steps, self._plan.replay.call_timeout_s)

    def record(self, shard: int, stats: ShardStats, asked_at: float) -> bool:
        """Record a shard's counters, asked for at a monotonic time; return whether it has lost transitions."""
        with self._lock:
            return self._record(shard, stats, asked_at)

    def can_sample(self, num_batches: int) -> bool:
        """Return whether warm-up and limiter admit so many batches, by the newest counters of the shards."""
        return self._view.is_warm and self._limiter.can_sample(num_batches * self._plan.batch_size)

    def sample(
        self, num_batches: int, learner_steps: int, is_exponent: float, timeout_s: float
    ) -> list[SampledBatch]:
        """Draw batches once warm-up and limiter admit them; `is_exponent` is beta of their weights.

        Raises:
            SampleTimeout: they were not admitted, or a shard did not answer, within `timeout_s`.
            ReplayFinished: they never will be, as every task has stored its step budget.
            ValueError: more batches than the run is planned for.
        """
        if not 1 <= num_batches <= self._plan.batches_per_call:
            raise ValueError(
                f"num_batches must be 1 to the plan's batches_per_call={self._plan.batches_per_call}, "
                f"got {num_batches}; plan the run for as many"
            )
        wait = Wait(logger, timeout_s, SampleTimeout)
        while True:
            with self._lock:
                self._wait_until_ready(num_batches, learner_steps, wait)
                quota = self._next_quota()[None].repeat(num_batches, axis=0)
                call = ("sample", quota, learner_steps, self.insert_limit_per_task)
                self._limiter.samples += int(quota.sum())  # other calls may be in flight meanwhile
            answers = None
            try:
                answers = self._draw(call, wait)
            finally:
                if answers is None:
                    with self._lock:
                        self._limiter.samples -= int(quota.sum())
            if answers is not None:
                batches = merge_samples(answers, quota, is_exponent)
                self.newest_group_sizes = batches[-1].group_sizes
                self.newest_effective_size = effective_sample_size(batches[-1].is_weight)
                return batches

    def admit(self, num_batches: int) -> NDArray[np.int64] | None:
        """Take leave to draw batches from a copy of the tables, and return their quotas, i64[T]; None if not now.

        By the newest counters that `fetch_rows` has brought. They count as drawn.

        Raises:
            ReplayFinished: as `sample`.
        """
        with self._lock:
            if not self.can_sample(num_batches):
                self._check_not_finished()
                return None
            self._limiter.samples += num_batches * self._plan.batch_size
            self.newest_group_sizes = self._next_quota()
            return self.newest_group_sizes

    def fetch_rows(
        self,
        first_key: NDArray[np.int64],
        count: NDArray[np.int64],
        sampled: NDArray[np.int64],
        most_rows: int,
        learner_steps: int,
    ) -> list[ShardRows]:
        """Ask every shard for the rows beyond the first `count` i64[T] of its tables; those that are down are left out.

        `sampled` i64[T] are the rows drawn from the copy since the last call. Sends insert limits as `refresh` does.
        """
        limit, asked_at = self.insert_limit_per_task, time.monotonic()
        answers: list[ShardRows] = []
        for shard, rows in self._calls.ask(
            "rows_since", first_key, count, most_rows, sampled, learner_steps, limit
        ):
            self.record(shard, rows.stats, asked_at)
            answers.append(rows)
        return answers

    def send_priorities(
        self, task_id: NDArray[np.int32], key: NDArray[np.int64], priority: NDArray[np.float64]
    ) -> None:
        """Send new priorities of rows named by task and key; as `update_priorities`."""
        self._updates.send_rows(task_id, key, priority)

    def blocker(self, num_batches: int = 1) -> str:
        """Describe what sampling waits for, or would wait for, with the counters that decide."""
        limiter, rows = self._limiter, num_batches * self._plan.batch_size
        return (
            f"{rows} rows need a limiter cursor of at least {rows - limiter.error_buffer:g}, "
            f"it is {limiter.cursor:g} (inserts {limiter.inserts}, samples {limiter.samples}, "
            f"warm-up {limiter.min_size}); "
            f"tasks below the warm-up: {self._view.cold_tasks or 'none'}; "
            f"shards that do not answer: {sorted(self._calls.down) or 'none'}"
        )

    def update_priorities(self, batches: Sequence[SampledBatch], priority: Sequence[NDArray]) -> None:
        """Send new priorities (|td_error|, in row order) of drawn batches; does not wait for the shards.

        Raises:
            ValueError: a priority is negative or not finite; nothing is sent.
        """
        self._updates.send(batches, priority)

    def flush(self) -> None:
        """Have every shard bring to the disk what it holds by now, so that a checkpoint knows nothing that is lost."""
        self._calls.flush()

    def state_dict(self, learner_steps: int) -> SamplerState:
        """Return the counters; only the batches of `learner_steps` updates count as drawn, not prefetched ones."""
        return {
            "samples": learner_steps * self._plan.batch_size,
            "inserted": self._view.inserted.tolist(),
            "refilled": self._limiter.min_size - self._plan.total_warmup_steps,
        }

    def load_state_dict(self, state: SamplerState) -> None:
        """Restore the counters; the ratio and the error buffer stay those of the configuration."""
        self._view.inserted[:] = state["inserted"]
        self._limiter.load_state_dict({"inserts": self.env_steps, "samples": state["samples"]})
        self._limiter.min_size = self._plan.total_warmup_steps + state.get("refilled", 0)

    def newest_state(self) -> dict[str, Any]:
        """Return what is told of the newest batch."""
        return {"group_sizes": self.newest_group_sizes, "effective_size": self.newest_effective_size}

    def load_newest_state(self, state: dict[str, Any]) -> None:
        """Tell of the batch of a state until another one is drawn."""
        self.newest_group_sizes = state["group_sizes"]
        self.newest_effective_size = state["effective_size"]

    @property
    def insert_limit_per_task(self) -> int:
        """What shards may have stored of each task, by what has been drawn so far."""
        return self._limiter.allowed_inserts() // self._plan.num_tasks

    def _next_quota(self) -> NDArray[np.int64]:
        """Return the rows to draw of each task, i64[T]; computed anew when an episode has changed a success rate."""
        rates = self._view.success_rate.tobytes()
        if rates != self._quota_rates:
            floor = self._plan.sampling.task_priority.quota_floor
            self._quota = task_quotas(self.task_probability, self._plan.batch_size, floor)
            self._quota_rates = rates
        return self._quota

    def _wait_until_ready(self, num_batches: int, learner_steps: int, wait: Wait) -> None:
        poll_s = SHORTEST_POLL_S
        while not self.can_sample(num_batches):
            self._refresh(learner_steps, self._calls.timeout_s(wait))
            if self.can_sample(num_batches):
                return
            self._check_not_finished()
            wait.check(f"sampling waits: {self.blocker(num_batches)}")
            wait.sleep(poll_s)
            poll_s = min(2 * poll_s, LONGEST_POLL_S)

    def _check_not_finished(self) -> None:
        if self._view.is_complete and self._view.is_closed:
            raise ReplayFinished(f"all {self.env_steps} steps of the run are stored and sampled")
        self.check_not_gone()

    def check_not_gone(self) -> None:
        """Raise ReplayFinished if, by the newest counters, the rows of a task are lost for good."""
        if self._view.is_gone:
            raise ReplayFinished("a task has stored its steps and lost them all: there is nothing to draw")

    def _draw(self, call: tuple[Any, ...], wait: Wait) -> list[ShardSample] | None:
        """Return the answers of all shards; None if one has lost its transitions meanwhile."""
        answers, asked_at = list[ShardSample](), time.monotonic()
        for shard, first_try in enumerate(self._calls.submit(*call)):
            try:
                answer = self._calls.insist(shard, first_try, call, wait)
            except TableEmpty:
                with self._lock:
                    self._refresh(call[2], self._calls.timeout_s(wait))
                return None
            if self.record(shard, answer.stats, asked_at):
                return None
            answers.append(answer)
        return answers

    def _refresh(self, learner_steps: int, timeout_s: float) -> None:
        call, asked_at = ("set_insert_limit", learner_steps, self.insert_limit_per_task), time.monotonic()
        for shard, stats in self._calls.ask(*call, timeout_s=timeout_s):
            self._record(shard, stats, asked_at)

    def _record(self, shard: int, stats: ShardStats, asked_at: float) -> bool:
        """Record a shard's counters; return whether it has lost transitions, which it is then told to count."""
        lost = self._view.record(shard, stats, asked_at)
        if lost and self._inserts_at_loss is None:
            self._inserts_at_loss = self._limiter.inserts
        self._limiter.inserts = self.env_steps
        if self._inserts_at_loss is not None and self._view.is_warm and not lost:
            self._limiter.forgive(self._inserts_at_loss)
            self._inserts_at_loss = None
        if lost:
            logger.warning(
                "shard %d lost its transitions of tasks %s; sampling goes on when they hold the warm-up again",
                shard,
                stats.task_id.tolist(),
            )
            self._transport.submit(shard, "adopt_inserted", self._view.inserted.copy())
        return lost
