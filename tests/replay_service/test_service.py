"""The whole service in threads: writers, shards that fail under calls, and a sampler."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplayFinished, ReplaySampler
from replay_service.shard import Shard
from replay_service.transport import LocalTransport, Pending, ShardUnavailable
from replay_service.types import TransitionBatch
from replay_service.writer import ReplayWriter

MakePlan = Callable[..., ReplayPlan]
MakeTransitions = Callable[..., TransitionBatch]


class UnsureTransport(LocalTransport):
    """Executes calls or not and gives no answer: what a dying shard looks like from outside."""

    def __init__(self, shards: list[Shard], failure_rate: float, seed: int) -> None:
        super().__init__(shards)
        self._random = np.random.default_rng(seed)
        self._failure_rate = failure_rate
        self._lock = threading.Lock()

    def submit(self, shard: int, method: str, *args: Any) -> Pending:
        with self._lock:
            fails, executes = self._random.random(2) < (self._failure_rate, 0.5)
        if fails:
            if executes:
                super().submit(shard, method, *args)
            return _NoAnswer()
        return super().submit(shard, method, *args)


class _NoAnswer:
    def done(self) -> bool:
        return True

    def result(self, timeout_s: float) -> Any:
        raise ShardUnavailable("shard 0 died under the call")


@pytest.mark.parametrize("failure_rate", [0.0, 0.3])
def test_a_whole_service_of_threads_keeps_the_ratio_and_stores_every_chunk_once(
    failure_rate: float,
    make_plan: MakePlan,
    make_transitions: MakeTransitions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three actors on four tasks, a learner, shards that fail under calls; the limiter's bounds hold."""
    monkeypatch.setattr("replay_service.shard_calls.RETRY_PERIOD_S", 0.001)
    monkeypatch.setattr("replay_service.writer.RETRY_PERIOD_S", 0.001)
    plan = make_plan(4, {"num_shards": 2, "capacity_per_task": 500}, total_steps=4 * 400)
    shards = [Shard(index, plan) for index in range(2)]
    errors: list[BaseException] = []
    written = [0] * 4

    def act(actor: int, tasks: list[int]) -> None:
        try:
            transport = UnsureTransport(shards, failure_rate, actor)
            writer = ReplayWriter(plan, transport, actor, 0, tasks)
            while not writer.closed:
                for task in writer.ready_tasks(0.1):
                    writer.write(make_transitions(task, 4, written[task]), (), 0)
                    written[task] += 4
        except BaseException as error:
            errors.append(error)

    assignments = [[0, 3], [1], [2]]
    threads = [threading.Thread(target=act, args=item) for item in enumerate(assignments)]
    for thread in threads:
        thread.start()
    sampler, steps = ReplaySampler(plan, UnsureTransport(shards, failure_rate, 9)), 0
    buffer = plan.error_buffer
    try:
        while True:
            batches = sampler.sample(2, steps, 0.4, 20.0)
            steps += 2
            sampler.update_priorities(batches, [np.ones(16)] * 2)
            inserted = sum(int(shard.stats().inserted.sum()) for shard in shards)
            cursor = plan.samples_per_insert * (inserted - 32) - 16 * steps
            assert -buffer <= cursor <= buffer
    except ReplayFinished:
        pass
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not errors
    assert abs(16 * steps - 4 * (1600 - 32)) <= buffer
    for task in range(4):
        shard, table = shards[task % 2], task // 2
        assert shard.stats().inserted[table] == 400
        serial = shard._content.tables._rows["obs"][table, :400, 0]
        # each once; a chunk that was overtaken at the end of the budget may be missing
        assert len(np.unique(serial)) == 400
        assert set(range(380)) <= set(serial.tolist())
    if failure_rate:
        assert sum(shard.stats().duplicate_chunks for shard in shards) > 0 and sampler.lost_updates > 0
