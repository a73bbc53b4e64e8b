"""The actor's client with shards in this process."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from replay_service.dedup_window import WINDOW
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.transport import LocalTransport, Pending, ShardUnavailable
from replay_service.types import TransitionBatch
from replay_service.writer import ReplayWriter

MakePlan = Callable[..., ReplayPlan]
MakeTransitions = Callable[..., TransitionBatch]


def open_shards(plan: ReplayPlan, insert_limit: int = 10**9) -> list[Shard]:
    shards = [Shard(index, plan) for index in range(plan.num_shards)]
    for shard in shards:
        shard.set_insert_limit(0, insert_limit)
    return shards


def test_chunks_go_to_the_shards_of_their_tasks(
    make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    plan = make_plan(3, {"num_shards": 2})
    shards = open_shards(plan)
    writer = ReplayWriter(plan, LocalTransport(shards), 0, 0, [0, 1, 2])
    for task, rows in ((0, 4), (1, 3), (2, 2), (0, 4)):
        writer.write(make_transitions(task, rows), (), 0)
    assert writer.unacknowledged == 0
    assert [shard.stats().inserted.tolist() for shard in shards] == [[8, 2], [3]]


def test_a_task_at_its_limit_keeps_two_chunks_and_does_not_hold_up_another(
    make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    plan = make_plan()
    shard = open_shards(plan, insert_limit=10)[0]
    writer = ReplayWriter(plan, LocalTransport([shard]), 0, 0, [0, 1])
    writer.write(make_transitions(0, 4), (), 0)
    writer.write(make_transitions(0, 4), (), 0)
    for _ in range(2):
        writer.write(make_transitions(0, 4), (), 0)
    assert writer.unacknowledged == 2
    assert writer.ready_tasks() == [1]
    writer.write(make_transitions(1, 4), (), 0)
    assert shard.stats().inserted.tolist() == [8, 4]
    shard.set_insert_limit(7, 12)
    assert writer.ready_tasks() == [0, 1]
    assert (writer.unacknowledged, writer.learner_steps) == (1, 7)
    assert not writer.flush(0.0)
    shard.set_insert_limit(8, 16)
    assert writer.flush(0.0)
    assert shard.stats().inserted.tolist() == [16, 4]


def test_writing_on_a_full_task_gives_up_at_the_deadline_and_names_what_it_waits_for(
    make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    plan = make_plan(replay={"insert_deadline_s": 0.05, "max_unacknowledged_chunks": 1})
    writer = ReplayWriter(plan, LocalTransport(open_shards(plan, insert_limit=0)), 4, 0, [0])
    writer.write(make_transitions(0, 8), (), 0)
    writer.write(make_transitions(0, 4), (), 0)
    with pytest.raises(TimeoutError, match=r"actor 4 gave up .* unacknowledged by task \{0: 1\}"):
        writer.write(make_transitions(0, 4), (), 0)


def test_closed_when_all_tasks_have_used_up_their_budgets(
    make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    plan = make_plan(total_steps=20)
    shard = open_shards(plan)[0]
    writer = ReplayWriter(plan, LocalTransport([shard]), 0, 0, [0, 1])
    for _ in range(4):
        writer.write(make_transitions(0, 4), (), 0)
    assert not writer.closed and writer.ready_tasks() == [1]
    for _ in range(4):
        writer.write(make_transitions(1, 4), (), 0)
    assert writer.closed and writer.ready_tasks() == []
    assert shard.stats().inserted.tolist() == [12, 12]


def test_an_actor_that_counts_from_zero_again_is_not_taken_for_its_predecessor(
    make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    """A resumed run starts its actors as incarnation 0 on the dedup windows of the run before."""
    plan = make_plan()
    shard = open_shards(plan)[0]
    for _ in range(2):
        writer = ReplayWriter(plan, LocalTransport([shard]), 0, 0, [0])
        writer.write(make_transitions(0, 4), (), 0)
    assert shard.stats().inserted.tolist() == [8, 0]
    assert shard.stats().duplicate_chunks == 0


def test_what_a_shard_refuses_is_raised_and_not_sent_again(
    make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    plan = make_plan()
    writer = ReplayWriter(plan, LocalTransport(open_shards(plan)), 3, 0, [0])
    bad = make_transitions(0, 4)
    bad.reward[2] = np.nan
    with pytest.raises(ValueError, match="actor 3, task 0: reward must be finite"):
        writer.write(bad, (), 0)
    assert writer.unacknowledged == 0


def test_another_actors_task_is_refused(make_plan: MakePlan, make_transitions: MakeTransitions) -> None:
    plan = make_plan()
    writer = ReplayWriter(plan, LocalTransport(open_shards(plan)), 3, 0, [0])
    with pytest.raises(ValueError, match=r"actor 3 must write its tasks \[0\], got task 1"):
        writer.write(make_transitions(1, 4), (), 0)


class DelayedTransport:
    """Calls that stay in flight until they are delivered, in any order; the first answers are lost."""

    is_concurrent = True

    def __init__(self, shard: Shard, lost: int) -> None:
        self._shard = shard
        self._lost = lost
        self.in_flight: list[DelayedCall] = []

    def submit(self, shard: int, method: str, *args: Any) -> Pending:
        call = DelayedCall(lambda: getattr(self._shard, method)(*args))
        if method == "insert":
            self.in_flight.append(call)
        else:
            call.deliver()
        return call

    def wait(self, calls: Sequence[Pending], timeout_s: float) -> None:
        """Answer nothing meanwhile."""

    def deliver(self, order: list[int]) -> None:
        calls, self.in_flight = self.in_flight, []
        for index in order:
            if self._lost:
                self._lost -= 1
                calls[index].lose()
            else:
                calls[index].deliver()


class DelayedCall:
    def __init__(self, execute: Callable[[], Any]) -> None:
        self._execute = execute
        self._answer: Any = None
        self._lost = False

    def deliver(self) -> None:
        self._answer = self._execute()

    def lose(self) -> None:
        self._execute()
        self._lost = True

    def done(self) -> bool:
        return self._lost or self._answer is not None

    def result(self, timeout_s: float) -> Any:
        if self._lost:
            raise ShardUnavailable("shard 0 died after it stored the chunk")
        return self._answer


def test_chunks_that_overtake_each_other_or_lose_their_answer_are_stored_once(
    make_plan: MakePlan, make_transitions: MakeTransitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay_service.writer.RETRY_PERIOD_S", 0.0)
    plan = make_plan(replay={"max_unacknowledged_chunks": 4})
    shard = open_shards(plan)[0]
    transport = DelayedTransport(shard, lost=2)
    writer = ReplayWriter(plan, transport, 0, 0, [0])
    for sequence in range(4):
        writer.write(make_transitions(0, 4, 4 * sequence), (), 0)
    assert writer.unacknowledged == 4 and writer.ready_tasks() == []
    transport.deliver([2, 0, 3, 1])
    assert not writer.flush(0.0)  # receives two answers and learns that two are lost
    assert not writer.flush(0.0)  # sends those again
    transport.deliver([1, 0])
    assert writer.flush(0.0)
    assert shard.stats().inserted.tolist() == [16, 0]
    assert shard.stats().duplicate_chunks == 2


def test_a_shard_that_never_answers_does_not_make_chunks_pile_up(
    make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    plan = make_plan(replay={"insert_deadline_s": 0.05})
    transport = DelayedTransport(open_shards(plan)[0], lost=0)
    writer = ReplayWriter(plan, transport, 4, 0, [0])
    for _ in range(2):
        writer.write(make_transitions(0, 4), (), 0)
    with pytest.raises(TimeoutError, match=r"actor 4 gave up .* unacknowledged by task \{0: 2\}"):
        writer.write(make_transitions(0, 4), (), 0)


def test_no_chunk_is_left_behind_while_others_are_stored(
    make_plan: MakePlan, make_transitions: MakeTransitions
) -> None:
    """A shard takes what is far behind the newest for a retry: the writer waits for a chunk without an answer."""
    plan = make_plan(1)
    shard = open_shards(plan)[0]
    transport = DelayedTransport(shard, lost=0)
    writer = ReplayWriter(plan, transport, 0, 0, [0])
    writer.write(make_transitions(0, 4), (), 0)
    left_behind, transport.in_flight = transport.in_flight, []
    written = 1
    while writer.ready_tasks() and written < 2 * WINDOW:
        writer.write(make_transitions(0, 4, 4 * written), (), 0)
        transport.deliver([0])
        written += 1
    left_behind[0].deliver()
    assert writer.flush(0.0) and writer.ready_tasks() == [0]
    assert (shard.stats().inserted.tolist(), shard.stats().duplicate_chunks) == ([4 * written], 0)
    assert written == plan.replay.max_unacknowledged_chunks


class AnsweringTransport(DelayedTransport):
    """Answers the calls in flight as soon as they are waited for."""

    def __init__(self, shard: Shard) -> None:
        super().__init__(shard, lost=0)
        self.waits: list[float] = []

    def wait(self, calls: Sequence[Pending], timeout_s: float) -> None:
        self.waits.append(timeout_s)
        self.deliver(list(range(len(calls))))


def test_a_wait_sleeps_until_an_answer_comes(make_plan: MakePlan, make_transitions: MakeTransitions) -> None:
    transport = AnsweringTransport(open_shards(make_plan())[0])
    writer = ReplayWriter(make_plan(), transport, 0, 0, [0])
    for _ in range(2):
        writer.write(make_transitions(0, 4), (), 0)
    assert writer.ready_tasks() == [] and transport.waits == []
    assert writer.ready_tasks(timeout_s=600.0) == [0]
    assert transport.waits == [1.0]


def test_tasks_come_and_go(make_plan: MakePlan, make_transitions: MakeTransitions) -> None:
    plan = make_plan(3)
    shard = open_shards(plan)[0]
    transport = DelayedTransport(shard, lost=0)
    writer = ReplayWriter(plan, transport, 0, 5, [0])
    writer.take_on(2)
    writer.take_on(2)
    assert writer.ready_tasks() == [0, 2]
    writer.write(make_transitions(2, 4), (), 0)
    writer.leave(2)
    writer.leave(0)
    assert writer.closed and writer.ready_tasks() == []
    transport.deliver([0])
    assert writer.flush(0.0)  # what was in flight arrives all the same
    writer.take_on(2)
    assert writer.ready_tasks() == [2] and not writer.closed
    writer.write(make_transitions(2, 4), (), 0)
    transport.deliver([0])
    assert writer.flush(0.0)
    assert shard.stats().inserted.tolist() == [0, 0, 8]
    assert shard.stats().duplicate_chunks == 0
