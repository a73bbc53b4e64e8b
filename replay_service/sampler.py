"""The sampler: the learner's client, which draws batches from all shards and sends priorities back."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from replay_service.batching import effective_sample_size, merge_samples
from replay_service.plan import ReplayPlan
from replay_service.service_view import ServiceView
from replay_service.table import TableEmpty
from replay_service.task_priority import task_probability, task_quotas
from replay_service.transport import Pending, ShardUnavailable, Transport
from replay_service.types import SampledBatch, ShardSample, ShardStats

logger = logging.getLogger(__name__)

SHORTEST_POLL_S, LONGEST_POLL_S = 0.005, 0.2  # a long wait must not cost the cores that it waits for
RETRY_PERIOD_S = 0.2  # after a shard did not answer
REPORT_PERIOD_S = 10.0
UPDATES_IN_FLIGHT = 4  # calls to each shard


class SampleTimeout(TimeoutError):  # noqa: N818 - names what happened, as queue.Empty does
    """The limiter, the warm-up or a shard did not let a sample pass before the deadline."""


class ReplayFinished(Exception):  # noqa: N818 - not an error
    """Every task's step budget is stored and the samples-per-insert ratio admits no further batch."""


class SamplerState(TypedDict):
    """The sampler's part of a checkpoint."""

    samples: int
    inserted: list[int]


class ReplaySampler:
    """Draws batches at the configured ratio. `sample` and `update_priorities` may be in different threads."""

    def __init__(self, plan: ReplayPlan, transport: Transport) -> None:
        self._plan = plan
        self._transport = transport
        self._limiter = plan.limiter()
        self._view = ServiceView(plan)
        self._quota, self._quota_rates = np.zeros(plan.num_tasks, np.int64), b""
        self._down: set[int] = set()
        self._report_at = 0.0
        self._sampling = threading.Lock()
        self._updating = threading.Lock()
        self._updates: deque[Pending] = deque()
        self.newest_quota = np.zeros(
            plan.num_tasks, np.int64
        )  # i64[T], rows of each task in the newest batch
        self.newest_effective_size = float("nan")  # share of the newest batch that its weights let count
        self.lost_updates = 0  # calls of update_priorities that found a shard down

    @property
    def env_steps(self) -> int:
        """Transitions stored in this run, all tasks together."""
        return int(self._view.inserted.sum())

    @property
    def stats(self) -> list[ShardStats]:
        """The newest counters of each shard that was heard of."""
        return [stats for stats in self._view.stats if stats is not None]

    @property
    def limiter_cursor(self) -> float:
        """Rows that may still be drawn at the configured ratio; within plus or minus the error buffer."""
        return self._limiter.cursor

    def metrics(self) -> dict[str, float]:
        """What only the learner's side knows of the service, by metric name."""
        limiter = self._limiter
        return {
            "replay/limiter_cursor": limiter.cursor,
            "replay/limiter_error_buffer": limiter.error_buffer,
            "replay/limiter_inserts_left": float(limiter.allowed_inserts() - limiter.inserts),
            "replay/effective_sample_size": self.newest_effective_size,
            "replay/lost_updates": float(self.lost_updates),
        }

    @property
    def task_probability(self) -> NDArray[np.float64]:
        """The share of each task in the next batch, f64[T]."""
        return task_probability(self._view.success_rate, self._plan.sampling.task_priority)

    def refresh(self, learner_steps: int) -> None:
        """Tell the shards how much they may take in, and take their counters."""
        with self._sampling:
            self._refresh(learner_steps, self._plan.replay.call_timeout_s)

    def can_sample(self, num_batches: int) -> bool:
        """Whether `sample` would return at once, by the newest counters."""
        rows = num_batches * self._plan.batch_size
        return self._view.is_warm and self._limiter.can_sample(rows)

    def sample(
        self, num_batches: int, learner_steps: int, is_exponent: float, timeout_s: float
    ) -> list[SampledBatch]:
        """Draw batches once the limiter admits them; raises SampleTimeout, or ReplayFinished at the end."""
        if not 1 <= num_batches <= self._plan.batches_per_call:
            raise ValueError(
                f"num_batches must be 1 to the plan's batches_per_call={self._plan.batches_per_call}, "
                f"got {num_batches}; plan the run for as many"
            )
        deadline = time.monotonic() + timeout_s
        with self._sampling:
            self._report_at = time.monotonic() + REPORT_PERIOD_S
            while True:
                self._wait_until_ready(num_batches, learner_steps, deadline)
                quota = self._next_quota()[None].repeat(num_batches, axis=0)
                answers = self._draw(quota, learner_steps, deadline)
                if answers is not None:
                    self._limiter.samples += int(quota.sum())
                    self.newest_quota = quota[0]
                    batches = merge_samples(answers, quota, is_exponent)
                    self.newest_effective_size = effective_sample_size(batches[-1].is_weight)
                    return batches

    def blocker(self, num_batches: int = 1) -> str:
        """What sampling waits for, or would wait for, with the counters that decide."""
        limiter, rows = self._limiter, num_batches * self._plan.batch_size
        return (
            f"{rows} rows need a limiter cursor of at least {rows - limiter.error_buffer:g}, "
            f"it is {limiter.cursor:g} (inserts {limiter.inserts}, samples {limiter.samples}, "
            f"warm-up {limiter.min_size}); "
            f"tasks below the warm-up: {self._view.cold_tasks or 'none'}; "
            f"shards that do not answer: {sorted(self._down) or 'none'}"
        )

    def update_priorities(self, batches: Sequence[SampledBatch], priority: Sequence[NDArray]) -> None:
        """Send new priorities (|td_error|, in row order) of drawn batches; does not wait for the shards."""
        task_id = np.concatenate([batch.transitions.task_id for batch in batches])
        shard = np.concatenate([batch.info.shard for batch in batches])
        key = np.concatenate([batch.info.key for batch in batches])
        value = np.concatenate(priority).astype(np.float64, copy=False)
        if not np.isfinite(value).all():
            row = int(np.argmin(np.isfinite(value)))
            raise ValueError(
                f"task {task_id[row]}: priorities must be finite, got {value[row]} in row {row}; "
                f"check the td_error"
            )
        with self._updating:
            for index in range(self._plan.num_shards):
                mine = np.flatnonzero(shard == index)
                if len(mine):
                    call = ("update_priorities", task_id[mine], key[mine], value[mine])
                    self._updates.append(self._transport.submit(index, *call))
            while self._updates and (
                self._updates[0].done() or len(self._updates) > UPDATES_IN_FLIGHT * self._plan.num_shards
            ):
                self._finish_update(self._updates.popleft())

    def state_dict(self, learner_steps: int) -> SamplerState:
        """The counters; only the batches of `learner_steps` updates count as drawn, not prefetched ones."""
        return {"samples": learner_steps * self._plan.batch_size, "inserted": self._view.inserted.tolist()}

    def load_state_dict(self, state: SamplerState) -> None:
        self._view.inserted[:] = state["inserted"]
        self._limiter.load_state_dict({"inserts": self.env_steps, "samples": state["samples"]})

    @property
    def _insert_limit_per_task(self) -> int:
        return self._limiter.allowed_inserts() // self._plan.num_tasks

    def _next_quota(self) -> NDArray[np.int64]:
        """Rows of each task, i64[T]; computed anew when an episode has changed a success rate."""
        rates = self._view.success_rate.tobytes()
        if rates != self._quota_rates:
            floor = self._plan.sampling.task_priority.quota_floor
            self._quota = task_quotas(self.task_probability, self._plan.batch_size, floor)
            self._quota_rates = rates
        return self._quota

    def _wait_until_ready(self, num_batches: int, learner_steps: int, deadline: float) -> None:
        poll_s = SHORTEST_POLL_S
        while not self.can_sample(num_batches):
            self._refresh(learner_steps, self._patience_s(deadline))
            if self.can_sample(num_batches):
                return
            if self._view.is_warm and self._view.is_closed:
                raise ReplayFinished(f"all {self.env_steps} steps of the run are stored and sampled")
            now = time.monotonic()
            if now >= deadline:
                raise SampleTimeout(f"no sample before the deadline: {self.blocker(num_batches)}")
            self._report_wait(now, self.blocker(num_batches))
            time.sleep(min(poll_s, deadline - now))
            poll_s = min(2 * poll_s, LONGEST_POLL_S)

    def _draw(
        self, quota: NDArray[np.int64], learner_steps: int, deadline: float
    ) -> list[ShardSample] | None:
        """The answers of all shards; None if one has lost its transitions meanwhile."""
        call = ("sample", quota, learner_steps, self._insert_limit_per_task)
        pending = [self._transport.submit(shard, *call) for shard in range(self._plan.num_shards)]
        answers = []
        for shard, first_try in enumerate(pending):
            answer = self._answer(shard, first_try, call, deadline)
            if answer is None or self._absorb(shard, answer.stats):
                return None
            answers.append(answer)
        return answers

    def _answer(self, shard: int, pending: Pending, call: tuple, deadline: float) -> ShardSample | None:
        while True:
            try:
                return pending.result(self._patience_s(deadline))
            except TableEmpty:
                self._refresh(call[2], self._patience_s(deadline))
                return None
            except (ShardUnavailable, TimeoutError) as error:
                if time.monotonic() >= deadline:
                    raise SampleTimeout(f"no sample before the deadline: {error}") from error
                self._report_wait(time.monotonic(), str(error))
            time.sleep(RETRY_PERIOD_S)
            pending = self._transport.submit(shard, *call)

    def _report_wait(self, now: float, reason: str) -> None:
        if now >= self._report_at:
            logger.warning("sampling waits: %s", reason)
            self._report_at = now + REPORT_PERIOD_S

    def _patience_s(self, deadline: float) -> float:
        """How long to wait for one answer: a moment even at the deadline, as a poll takes a round trip."""
        return min(max(deadline - time.monotonic(), 0.5), self._plan.replay.call_timeout_s)

    def _refresh(self, learner_steps: int, timeout_s: float) -> None:
        call = ("set_insert_limit", learner_steps, self._insert_limit_per_task)
        pending = [self._transport.submit(shard, *call) for shard in range(self._plan.num_shards)]
        for shard, answer in enumerate(pending):
            try:
                self._absorb(shard, answer.result(timeout_s))
                self._down.discard(shard)
            except (ShardUnavailable, TimeoutError):
                self._down.add(shard)

    def _absorb(self, shard: int, stats: ShardStats) -> bool:
        lost = self._view.absorb(shard, stats)
        self._limiter.inserts = self.env_steps
        if lost:
            logger.warning(
                "shard %d lost its transitions of tasks %s; it goes on when they hold the warm-up again",
                shard,
                stats.task_id.tolist(),
            )
            self._transport.submit(shard, "adopt_inserted", self._view.inserted.copy())
        return lost

    def _finish_update(self, update: Pending) -> None:
        try:
            update.result(self._plan.replay.call_timeout_s)
        except (ShardUnavailable, TimeoutError):
            self.lost_updates += 1
