"""The writer: an actor's client, which hands chunks to their shards exactly once and keeps few under way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replay_service.plan import ReplayPlan
from replay_service.transport import Pending, ShardUnavailable, Transport
from replay_service.types import (
    Chunk,
    ChunkId,
    EpisodeEnd,
    InsertAck,
    InsertStatus,
    TransitionBatch,
    shard_of_task,
)

logger = logging.getLogger(__name__)

LONGEST_PAUSE_S = 1.0  # of a wait, before it looks for calls that are overdue
RETRY_PERIOD_S = 0.2  # after a shard did not answer
REPORT_PERIOD_S = 10.0


@dataclass
class _Delivery:
    """A chunk that is not acknowledged yet."""

    chunk: Chunk
    pending: Pending | None  # None while waiting to be sent again
    sent_at: float
    give_up_at: float
    retry_at: float = 0.0


class ReplayWriter:
    """Sends the chunks of one incarnation of one actor.

    `incarnation` counts the actor's restarts. Shards that remember a higher one, of the run before it was
    resumed, number this one higher still: otherwise its first chunks would pass for those of that run.

    At most max_unacknowledged_chunks of each task are under way. An actor with several tasks steps those that
    `ready_tasks` names: then a task that waits for the limiter never keeps another from catching up.
    """

    def __init__(
        self, plan: ReplayPlan, transport: Transport, actor: int, incarnation: int, task_ids: Sequence[int]
    ) -> None:
        self._plan = plan
        self._transport = transport
        self._actor = actor
        self._next_sequence = dict.fromkeys(task_ids, 0)
        self._under_way: dict[int, list[_Delivery]] = {task: [] for task in task_ids}
        self._closed: set[int] = set()
        self._left: set[int] = set()
        self._first_incarnation = incarnation
        self._learner_steps = 0
        # in one process a waiting insert would keep the sampler from running at all
        self._insert_timeout_s = plan.replay.insert_timeout_s if transport.is_concurrent else 0.0
        self._incarnation = {task: self._begin(task, incarnation) for task in task_ids}

    @property
    def learner_steps(self) -> int:
        """The newest count of learner steps that a shard reported."""
        return self._learner_steps

    @property
    def closed(self) -> bool:
        """Whether all of the actor's tasks are closed: budget used up, or a newer incarnation took over."""
        return len(self._closed | self._left) == len(self._under_way)

    @property
    def unacknowledged(self) -> int:
        """Chunks under way."""
        return sum(map(len, self._under_way.values()))

    def ready_tasks(self, timeout_s: float = 0.0) -> list[int]:
        """The open tasks that take a chunk without waiting; waits up to `timeout_s` for the first of them."""
        self._wait(lambda: self.closed or bool(self._ready()), timeout_s)
        return self._ready()

    def write(
        self, transitions: TransitionBatch, episodes: Sequence[EpisodeEnd], weights_version: int
    ) -> None:
        """Send a chunk of one task; waits while too many are under way. A closed task's chunk is dropped.

        The arrays belong to the writer from here on. Raises what the shard refused an earlier chunk with, and
        TimeoutError when a chunk was not taken before the configured deadline.
        """
        task = int(transitions.task_id[0])
        if task not in self._under_way:
            raise ValueError(
                f"actor {self._actor} must write its tasks {sorted(self._under_way)}, got task {task}; "
                f"give the writer all of the actor's tasks"
            )
        has_room = self._wait(
            lambda: self._has_room(task) or task in self._closed, self._plan.replay.insert_deadline_s
        )
        if not has_room:
            raise TimeoutError(self._surrender())
        if task in self._closed:
            return
        chunk_id = ChunkId(self._actor, self._incarnation[task], self._next_sequence[task])
        self._next_sequence[task] += 1
        chunk = Chunk(chunk_id, transitions, tuple(episodes), weights_version)
        now = time.monotonic()
        delivery = _Delivery(chunk, None, now, now + self._plan.replay.insert_deadline_s)
        self._under_way[task].append(delivery)
        self._send(task, delivery)
        self._collect()

    def take_on(self, task: int) -> None:
        """Write chunks of one more task from now on."""
        if task not in self._under_way:
            self._next_sequence[task], self._under_way[task] = 0, []
            self._incarnation[task] = self._begin(task, self._first_incarnation)
        self._left.discard(task)

    def leave(self, task: int) -> None:
        """Write no more chunks of a task; those under way are still delivered."""
        self._left.add(task)

    def flush(self, timeout_s: float) -> bool:
        """Wait until every chunk is acknowledged; False if some are not in time."""
        return self._wait(lambda: not self.unacknowledged, timeout_s)

    def _begin(self, task: int, incarnation: int) -> int:
        shard = shard_of_task(task, self._plan.num_shards)
        deadline = time.monotonic() + self._plan.replay.insert_deadline_s
        while True:
            call = self._transport.submit(shard, "begin_incarnation", self._actor, task, incarnation)
            try:
                return call.result(self._plan.replay.call_timeout_s)
            except (ShardUnavailable, TimeoutError) as error:
                if time.monotonic() >= deadline:
                    raise
                logger.warning("actor %d waits for its shard: %s", self._actor, error)
            time.sleep(RETRY_PERIOD_S)

    def _has_room(self, task: int) -> bool:
        return len(self._under_way[task]) < self._plan.replay.max_unacknowledged_chunks

    def _ready(self) -> list[int]:
        gone = self._closed | self._left
        return [task for task in self._under_way if task not in gone and self._has_room(task)]

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        start = time.monotonic()
        report_at = start + REPORT_PERIOD_S
        while True:
            self._collect()
            if condition():
                return True
            now = time.monotonic()
            if now >= start + timeout_s:
                return False
            if now >= report_at:
                logger.warning("actor %d waits for %s", self._actor, self._awaited())
                report_at += REPORT_PERIOD_S
            self._pause(min(start + timeout_s, report_at) - now)

    def _pause(self, longest_s: float) -> None:
        """Sleep until an answer comes or a chunk is due to be sent again; fifty waiting actors must cost nothing."""
        deliveries = [delivery for under_way in self._under_way.values() for delivery in under_way]
        calls = [delivery.pending for delivery in deliveries if delivery.pending is not None]
        if len(calls) < len(deliveries):
            longest_s = min(longest_s, RETRY_PERIOD_S)
        if calls:
            self._transport.wait(calls, min(longest_s, LONGEST_PAUSE_S))
        else:
            time.sleep(min(longest_s, RETRY_PERIOD_S))

    def _collect(self) -> None:
        """Take the answers that have come, and send again what was not taken."""
        for task, deliveries in self._under_way.items():
            for delivery in list(deliveries):
                if delivery.pending is None and time.monotonic() >= delivery.retry_at:
                    self._send(task, delivery)
                if delivery.pending is not None and (delivery.pending.done() or self._is_overdue(delivery)):
                    self._take_answer(task, delivery, delivery.pending)

    def _send(self, task: int, delivery: _Delivery) -> None:
        delivery.sent_at = time.monotonic()
        shard = shard_of_task(task, self._plan.num_shards)
        delivery.pending = self._transport.submit(shard, "insert", delivery.chunk, self._insert_timeout_s)

    def _is_overdue(self, delivery: _Delivery) -> bool:
        limit_s = self._insert_timeout_s + self._plan.replay.call_timeout_s
        return time.monotonic() > delivery.sent_at + limit_s

    def _take_answer(self, task: int, delivery: _Delivery, pending: Pending) -> None:
        delivery.pending = None
        try:
            ack: InsertAck = pending.result(0.0)
        except (ShardUnavailable, TimeoutError):
            delivery.retry_at = time.monotonic() + RETRY_PERIOD_S
        except ValueError:
            self._under_way[task].remove(delivery)
            raise
        else:
            self._learner_steps = ack.learner_steps
            if ack.status is not InsertStatus.WAIT:
                self._under_way[task].remove(delivery)
            if ack.status is InsertStatus.CLOSED:
                self._closed.add(task)
        if delivery in self._under_way[task] and time.monotonic() > delivery.give_up_at:
            raise TimeoutError(self._surrender())

    def _surrender(self) -> str:
        return f"actor {self._actor} gave up after replay.insert_deadline_s, waiting for {self._awaited()}"

    def _awaited(self) -> str:
        waiting = {task: len(deliveries) for task, deliveries in self._under_way.items() if deliveries}
        return (
            f"shards to take its chunks: unacknowledged by task {waiting}, "
            f"learner steps {self._learner_steps}; "
            f"the limiter admits them when the learner has sampled on, and every shard must be up"
        )
