"""The writer: an actor's client, which delivers chunks to their shards exactly once and keeps few in flight."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replay_service.acknowledgement_log import AcknowledgementLog
from replay_service.incarnation_call import IncarnationCall
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
from replay_service.wait import Wait

logger = logging.getLogger(__name__)

LONGEST_PAUSE_S = 1.0  # of a wait, before it looks for calls that are overdue
RETRY_PERIOD_S = 0.2  # after a shard did not answer


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

    `incarnation` counts the actor's restarts. Shards that know a higher one, of the run before it was resumed,
    number this one higher still: otherwise its first chunks would be taken for duplicates of that run's.

    At most max_unacknowledged_chunks of each task are in flight, the oldest and those behind it: no chunk falls so far
    behind that the shard would take it for a retry (see DedupWindow). An actor with several tasks steps those that
    `ready_tasks` names: then a task that waits for the limiter never keeps another from catching up.
    """

    def __init__(
        self, plan: ReplayPlan, transport: Transport, actor: int, incarnation: int, task_ids: Sequence[int]
    ) -> None:
        self._plan = plan
        self._transport = transport
        self._actor = actor
        self._next_sequence: dict[int, int] = {}
        self._in_flight: dict[int, list[_Delivery]] = {}
        self._beginning: dict[int, IncarnationCall] = {}  # of tasks that take no chunk yet
        self._incarnation: dict[int, int] = {}  # of the others
        self._closed: set[int] = set()
        self._left: set[int] = set()
        self._first_incarnation = incarnation
        self._name = secrets.token_hex(8)  # of this writer, by which a shard knows its calls
        self._learner_steps = 0
        # in one process a waiting insert would keep the sampler from running at all
        self._insert_timeout_s = plan.replay.insert_timeout_s if transport.is_concurrent else 0.0
        place = plan.replay.acknowledgement_log
        self._log = None if place is None else AcknowledgementLog(Path(place), actor, plan.spec)
        for task in task_ids:
            self._begin(task)
        self._collect()
        while self._beginning:
            self._pause(LONGEST_PAUSE_S)
            self._collect()

    @property
    def learner_steps(self) -> int:
        """The newest count of learner steps that a shard reported."""
        return self._learner_steps

    @property
    def closed(self) -> bool:
        """Whether all of the actor's tasks are left or closed: budget used up, or a newer incarnation has begun."""
        return len(self._closed | self._left) == len(self._in_flight)

    @property
    def unacknowledged(self) -> int:
        """Chunks in flight."""
        return sum(map(len, self._in_flight.values()))

    def ready_tasks(self, timeout_s: float = 0.0) -> list[int]:
        """List the open tasks that take a chunk without waiting; wait up to `timeout_s` for the first of them."""
        self._wait(lambda: self.closed or bool(self._ready()), timeout_s)
        return self._ready()

    def write(
        self, transitions: TransitionBatch, episodes: Sequence[EpisodeEnd], weights_version: int
    ) -> None:
        """Send a chunk of one task; wait while too many are in flight. A closed task's chunk is dropped.

        The arrays belong to the writer from here on.

        Raises:
            ValueError: the task is another actor's, or a shard has refused an earlier chunk.
            TimeoutError: a chunk was not stored within `replay.insert_deadline_s`.
        """
        task = int(transitions.task_id[0])
        if task not in self._in_flight:
            raise ValueError(
                f"actor {self._actor} must write its tasks {sorted(self._in_flight)}, got task {task}; "
                f"give the writer all of the actor's tasks"
            )
        has_room = self._wait(
            lambda: self._has_room(task) or task in self._closed, self._plan.replay.insert_deadline_s
        )
        if not has_room:
            raise TimeoutError(self._timeout_message())
        if task in self._closed:
            return
        chunk_id = ChunkId(self._actor, self._incarnation[task], self._next_sequence[task])
        self._next_sequence[task] += 1
        chunk = Chunk(chunk_id, transitions, tuple(episodes), weights_version)
        now = time.monotonic()
        delivery = _Delivery(chunk, None, now, now + self._plan.replay.insert_deadline_s)
        self._in_flight[task].append(delivery)
        self._send(task, delivery)
        self._collect()

    def take_on(self, task: int) -> None:
        """Accept chunks of one more task, from when its shard has answered: that may be starting for minutes."""
        if task not in self._in_flight:
            self._begin(task)
        self._left.discard(task)

    def leave(self, task: int) -> None:
        """Accept no more chunks of a task; those in flight are still delivered."""
        self._left.add(task)

    def flush(self, timeout_s: float) -> bool:
        """Wait until every chunk is acknowledged; return whether all were within `timeout_s`."""
        return self._wait(lambda: not self.unacknowledged, timeout_s)

    def _begin(self, task: int) -> None:
        self._next_sequence[task], self._in_flight[task] = 0, []
        shard, call = shard_of_task(task, self._plan.num_shards), "begin_incarnation"
        arguments = (self._actor, task, self._first_incarnation, self._name)
        timeouts = (self._plan.replay.call_timeout_s, self._plan.replay.insert_deadline_s)
        self._beginning[task] = IncarnationCall(
            lambda: self._transport.submit(shard, call, *arguments), f"actor {self._actor}", *timeouts
        )

    def _has_room(self, task: int) -> bool:
        if task in self._beginning:
            return False
        in_flight = self._in_flight[task]  # a sliding window: those stored before the oldest make no room
        since_oldest = self._next_sequence[task] - in_flight[0].chunk.id.sequence if in_flight else 0
        return since_oldest < self._plan.replay.max_unacknowledged_chunks

    def _ready(self) -> list[int]:
        gone = self._closed | self._left
        return [task for task in self._in_flight if task not in gone and self._has_room(task)]

    def _wait(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Collect answers until the condition holds; return whether it did within `timeout_s`."""
        wait = Wait(logger, timeout_s)
        while True:
            self._collect()
            if condition():
                return True
            if wait.is_over:
                return False
            wait.report(f"actor {self._actor} waits for {self._awaited()}")
            self._pause(wait.remaining_s)

    def _pause(self, longest_s: float) -> None:
        """Sleep until an answer comes or a chunk is due to be sent again; fifty waiting actors must cost nothing."""
        deliveries = [delivery for of_task in self._in_flight.values() for delivery in of_task]
        awaited = [*deliveries, *self._beginning.values()]
        calls = [call.pending for call in awaited if call.pending is not None]
        if len(calls) < len(awaited):
            longest_s = min(longest_s, RETRY_PERIOD_S)
        if calls:
            self._transport.wait(calls, min(longest_s, LONGEST_PAUSE_S))
        else:
            time.sleep(min(longest_s, RETRY_PERIOD_S))

    def _collect(self) -> None:
        """Take the answers that have come, and send again what was not stored."""
        for task, call in list(self._beginning.items()):
            if (incarnation := call.advance()) is not None:
                self._incarnation[task] = incarnation
                del self._beginning[task]
        for task, deliveries in self._in_flight.items():
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
            self._in_flight[task].remove(delivery)
            raise
        else:
            self._learner_steps = ack.learner_steps
            if ack.status is not InsertStatus.WAIT:
                self._in_flight[task].remove(delivery)
            if ack.status is InsertStatus.CLOSED:
                self._closed.add(task)
            elif ack.status is not InsertStatus.WAIT and self._log is not None:
                self._log.append(delivery.chunk)
        if delivery in self._in_flight[task] and time.monotonic() > delivery.give_up_at:
            raise TimeoutError(self._timeout_message())

    def _timeout_message(self) -> str:
        return f"actor {self._actor} gave up after replay.insert_deadline_s, waiting for {self._awaited()}"

    def _awaited(self) -> str:
        waiting = {task: len(deliveries) for task, deliveries in self._in_flight.items() if deliveries}
        return (
            f"shards to store its chunks: unacknowledged by task {waiting}, "
            f"learner steps {self._learner_steps}; "
            f"the limiter admits them when the learner has sampled on, and every shard must be up"
        )
