"""The call that begins a task on its shard, which may be starting for minutes."""

from __future__ import annotations

from typing import Any

import pytest

from replay_service.incarnation_call import IncarnationCall
from replay_service.shard import Shard
from replay_service.transport import Pending, ShardUnavailable
from replay_service.writer import ReplayWriter
from tests.replay_service.test_writer import (
    DelayedCall,
    DelayedTransport,
    MakePlan,
    MakeTransitions,
    open_shards,
)


class StartingTransport(DelayedTransport):
    """A shard that answers no call on task 2 before it `is_up`; the first one is lost with its process."""

    def __init__(self, shard: Shard) -> None:
        super().__init__(shard, lost=1)
        self.is_up = False

    def submit(self, shard: int, method: str, *args: Any) -> Pending:
        if method == "begin_incarnation" and args[1] == 2 and not self.is_up:
            call = DelayedCall(lambda: getattr(self._shard, method)(*args))
            self.in_flight.append(call)
            return call
        return super().submit(shard, method, *args)


def test_a_task_whose_shard_starts_for_long_keeps_no_other_from_going_on(
    make_plan: MakePlan, make_transitions: MakeTransitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An actor that waited for it sent no heartbeat meanwhile, and was killed as one that hangs."""
    monkeypatch.setattr("replay_service.incarnation_call.RETRY_PERIOD_S", 0.0)
    shard = open_shards(make_plan(3))[0]
    transport = StartingTransport(shard)
    writer = ReplayWriter(make_plan(3, replay={"insert_deadline_s": 5.0}), transport, 0, 0, [0])
    writer.take_on(2)
    assert writer.ready_tasks() == [0] and not writer.closed
    transport.deliver([0])
    transport.is_up = True
    assert writer.ready_tasks(timeout_s=5.0) == [0], "its answer is lost"
    assert writer.ready_tasks() == [0, 2]
    writer.write(make_transitions(2, 4), (), 0)
    transport.deliver([0])
    assert writer.flush(0.0)
    assert shard.stats().inserted.tolist() == [0, 0, 4]


def test_a_shard_that_never_answers_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replay_service.incarnation_call.RETRY_PERIOD_S", 0.0)
    calls: list[DelayedCall] = []

    def submit() -> Pending:
        calls.append(DelayedCall(lambda: 7))
        return calls[-1]

    begun = IncarnationCall(submit, "actor 3", timeout_s=60.0, deadline_s=60.0)
    assert begun.advance() is None and len(calls) == 1
    calls[0].lose()
    assert begun.advance() is None and begun.advance() is None and len(calls) == 2
    calls[1].deliver()
    assert begun.advance() == 7
    late = IncarnationCall(submit, "actor 3", timeout_s=60.0, deadline_s=0.0)
    assert late.advance() is None
    calls[2].lose()
    with pytest.raises(ShardUnavailable):
        late.advance()
