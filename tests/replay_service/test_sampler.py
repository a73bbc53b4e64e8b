"""The learner's client with shards in this process."""

import logging
import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplayFinished, ReplaySampler, SampleTimeout
from replay_service.shard import Shard
from replay_service.transport import LocalTransport, Pending, ShardUnavailable
from replay_service.types import Chunk
from replay_service.writer import ReplayWriter

MakePlan = Callable[..., ReplayPlan]
MakeChunk = Callable[..., Chunk]


class Service:
    """Shards, filled with chosen numbers of rows a task, and a sampler."""

    def __init__(self, plan: ReplayPlan, make_chunk: MakeChunk) -> None:
        self.plan = plan
        self.make_chunk = make_chunk
        self.shards = [Shard(index, plan) for index in range(plan.num_shards)]
        self.sampler = ReplaySampler(plan, LocalTransport(self.shards))
        self.sequence = 0

    def fill(self, rows: list[int], successes: list[int | None] | None = None) -> None:
        """Append rows[tau] rows of each task, with one episode that succeeded or not."""
        for task, count in enumerate(rows):
            if count:
                shard = self.shards[task % len(self.shards)]
                first = int(shard.stats().inserted[task // len(self.shards)])
                chunk = self.make_chunk(task, count, self.sequence, first=first)
                if successes and successes[task] is not None:
                    ended = self.make_chunk(task, 1, episodes=1).episodes[0]
                    chunk = chunk._replace(episodes=(ended._replace(success=bool(successes[task])),))
                shard.set_insert_limit(0, 10**9)
                assert shard.insert(chunk, 0.0).status == "stored"
        self.sequence += 1

    def sample(self, batches: int = 1, exponent: float = 0.4, timeout_s: float = 0.0) -> list:
        return self.sampler.sample(batches, 0, exponent, timeout_s)


UNLIMITED = {"error_buffer": 1e12}


@pytest.mark.parametrize("num_shards", [1, 2, 3])
def test_batches_are_sorted_by_task_and_whole(
    num_shards: int, make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    replay = {"capacity_per_task": 100, "num_shards": num_shards} | UNLIMITED
    service = Service(make_plan(5, replay, {"batch_size_per_task": 8}, batches_per_call=3), make_chunk)
    service.fill([10, 20, 30, 40, 50])
    batches = service.sample(3)
    assert len(batches) == 3
    for batch in batches:
        rows, task_id = batch.transitions, batch.transitions.task_id
        assert task_id.tolist() == np.repeat(np.arange(5), 8).tolist()
        assert batch.group_sizes.tolist() == [8] * 5
        np.testing.assert_array_equal(rows.reward - rows.obs[:, 0], np.float32(0.125) * task_id)
        np.testing.assert_array_equal(rows.next_obs, -rows.obs)
        assert batch.info.shard.tolist() == (task_id % num_shards).tolist()
        assert (rows.obs[:, 0] < np.array([10, 20, 30, 40, 50])[task_id]).all()
        np.testing.assert_allclose(batch.info.probability, 1 / np.array([10, 20, 30, 40, 50])[task_id])
        # all rows of a table are alike, so weights are 1 for every task, whatever the size of its table
        np.testing.assert_allclose(batch.is_weight, 1.0, rtol=1e-6)
    assert batches[0].info.key.tolist() != batches[1].info.key.tolist()


def test_frequencies_over_tasks_and_shards_of_very_different_sizes_and_masses(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    """Chi-squared over all rows of four tasks on two shards against quota * P; wrong once in a million."""
    sizes = [8, 30, 200, 1000]
    replay = {"capacity_per_task": 1000, "num_shards": 2} | UNLIMITED
    plan = make_plan(4, replay, {"batch_size_per_task": 500}, batches_per_call=50)
    service = Service(plan, make_chunk)
    service.fill(sizes, successes=[1, 0, 1, 0])
    rng, expected = np.random.default_rng(0), []
    share = np.array([0.5, 1.5, 0.5, 1.5]) / 4  # solved tasks are held at half of the uniform share
    for task, size in enumerate(sizes):
        shard = service.shards[task % 2]
        first_key = int(shard._tables._counter["first_key"][task // 2])
        priority = 10.0 ** rng.uniform(-2, task, size)
        shard.update_priorities(np.full(size, task, np.int32), first_key + np.arange(size), priority)
        mass = (priority + 1e-6) ** 0.6
        expected.append(100 * share[task] * 2000 * mass / mass.sum())
    count = [np.zeros(size) for size in sizes]
    for batch in service.sample(50) + service.sample(50):
        assert batch.group_sizes.tolist() == [250, 750, 250, 750]
        serial = np.rint(batch.transitions.obs[:, 0]).astype(int)
        for task in range(4):
            np.add.at(count[task], serial[batch.transitions.task_id == task], 1)
    statistic = freedom = 0
    for seen, wanted in zip(count, expected, strict=True):
        frequent = wanted >= 5  # the rare rows of a task together make one class
        observed = np.append(seen[frequent], seen[~frequent].sum())
        awaited = np.append(wanted[frequent], wanted[~frequent].sum())
        observed, awaited = observed[awaited > 0], awaited[awaited > 0]
        statistic += ((observed - awaited) ** 2 / awaited).sum()
        freedom += len(awaited) - 1
    assert chi2.ppf(1e-6, freedom) < statistic < chi2.ppf(1 - 1e-6, freedom)


def test_at_exponent_one_weighted_means_are_uniform_means(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    """Any function of a task's rows, weighted, has its uniform mean, within five standard errors."""
    sizes = [50, 400]
    replay = {"capacity_per_task": 400} | UNLIMITED
    plan = make_plan(2, replay, {"batch_size_per_task": 500}, batches_per_call=100)
    service = Service(plan, make_chunk)
    service.fill(sizes)
    rng, functions = np.random.default_rng(1), []
    for task, size in enumerate(sizes):
        first_key = int(service.shards[0]._tables._counter["first_key"][task])
        priority = rng.uniform(0.05, 5, size) * 10**task
        service.shards[0].update_priorities(
            np.full(size, task, np.int32), first_key + np.arange(size), priority
        )
        functions.append(np.stack([priority, rng.normal(size=size), (priority > 1).astype(float)]))
    batches = service.sample(100, exponent=1.0)
    for task in range(2):
        weight = np.concatenate([b.is_weight[b.transitions.task_id == task] for b in batches]).astype(float)
        scale = np.repeat(
            [(1 / (b.info.probability * np.array(sizes)[b.transitions.task_id])).max() for b in batches], 500
        )
        serial = np.concatenate(
            [b.transitions.obs[b.transitions.task_id == task, 0] for b in batches]
        ).astype(int)
        for function in functions[task]:
            sample = weight * scale * function[serial]  # undo the batch's maximum: E[(N P)^-1 f] = mean of f
            error = sample.std() / math.sqrt(len(sample))
            assert abs(sample.mean() - function.mean()) < 5 * error
        unweighted = functions[task][0][serial]
        assert abs(unweighted.mean() - functions[task][0].mean()) > 5 * unweighted.std() / math.sqrt(
            len(serial)
        )


def test_masses_and_sizes_are_those_of_the_draw(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    service = Service(make_plan(replay={"capacity_per_task": 100} | UNLIMITED), make_chunk)
    service.fill([10, 10])
    batch = service.sample(exponent=1.0)[0]
    service.fill([50, 0])
    service.sampler.update_priorities([batch], [np.full(8, 100.0)])
    np.testing.assert_allclose(batch.info.probability, 0.1)
    np.testing.assert_allclose(batch.is_weight, 1.0, rtol=1e-6)


def test_quotas_follow_the_success_rates(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    service = Service(make_plan(2, UNLIMITED | {"num_shards": 2}, {"batch_size_per_task": 8}), make_chunk)
    service.fill([8, 8], successes=[1, None])
    assert service.sample()[0].group_sizes.tolist() == [8, 8]  # task 1 has no episode yet
    service.fill([1, 1], successes=[None, 0])
    service.sampler.refresh(0)
    assert service.sample()[0].group_sizes.tolist() == [4, 12]
    assert service.sampler.newest_quota.tolist() == [4, 12]
    np.testing.assert_allclose(service.sampler.task_probability, [0.25, 0.75])


def test_uniform_sampling_is_configuration_only(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    sampling = {"priority_exponent": 0.0, "task_priority": {"enabled": False}}
    service = Service(make_plan(2, UNLIMITED, sampling), make_chunk)
    service.fill([8, 20], successes=[1, 0])
    batch = service.sample()[0]
    service.sampler.update_priorities([batch], [np.arange(8.0)])
    batch = service.sample(exponent=1.0)[0]
    assert batch.group_sizes.tolist() == [4, 4]
    np.testing.assert_allclose(batch.info.probability, [1 / 8] * 4 + [1 / 20] * 4)
    np.testing.assert_allclose(batch.is_weight, 1.0)


def test_priorities_of_several_batches_reach_their_rows(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    replay = {"num_shards": 2, "capacity_per_task": 32} | UNLIMITED
    service = Service(make_plan(3, replay, {"priority_exponent": 1.0}, batches_per_call=2), make_chunk)
    service.fill([8, 16, 32])
    batches = service.sample(2)
    priority = [np.round(100 + b.transitions.reward, 3).astype(np.float64) for b in batches]
    service.fill([0, 0, 20])  # overwrites the first 20 rows of task 2
    service.sampler.update_priorities(batches, priority)
    tables = [shard._tables for shard in service.shards]
    stale = 0
    for batch, values in zip(batches, priority, strict=True):
        for task, serial, value in zip(
            batch.transitions.task_id, batch.transitions.obs[:, 0], values, strict=True
        ):
            if task == 2 and serial < 20:
                stale += 1
            else:
                assert tables[task % 2]._priority[task // 2, int(serial)] == value
    assert stale > 0 and sum(table.stale_updates for table in tables) == stale
    assert (tables[0]._priority[1, :20] == 1.0).all()  # the new owners of the slots are as they were


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_priorities_are_refused_before_they_are_sent(
    value: float, make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    service = Service(make_plan(replay=UNLIMITED), make_chunk)
    service.fill([8, 8])
    batch = service.sample()[0]
    with pytest.raises(ValueError, match="task 1: priorities must be finite"):
        service.sampler.update_priorities([batch], [np.array([1.0] * 5 + [value, 1, 1])])


def test_sampling_waits_for_the_warmup_of_every_task_and_says_so(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    service = Service(make_plan(), make_chunk)
    service.fill([30, 7])
    service.sampler.refresh(0)
    assert not service.sampler.can_sample(1)
    with pytest.raises(
        SampleTimeout, match=r"inserts 37, samples 0, warm-up 16\); tasks below the warm-up: \[1\]"
    ):
        service.sample()
    service.fill([0, 1])
    service.sampler.refresh(0)
    assert service.sampler.can_sample(1)
    assert service.sampler.env_steps == 38


def test_sampling_stops_at_the_lower_bound_and_inserts_at_the_upper(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    """Spi 4, warm-up 16, buffer 48: 64 rows at 20 inserts; then 4 rows for each insert."""
    service = Service(make_plan(), make_chunk)
    service.fill([10, 10])
    for _ in range(8):
        service.sample()  # 8 rows each, cursor 16 - 64 = -48
    with pytest.raises(SampleTimeout, match="need a limiter cursor of at least -40, it is -48"):
        service.sample()
    service.fill([1, 1])
    service.sample()
    with pytest.raises(SampleTimeout):
        service.sample()
    # 72 samples: up to 16 + (72 + 48) / 4 = 46 inserts, 23 for each task
    shard = service.shards[0]
    for task in (0, 1):
        assert shard.insert(make_chunk(task, 12, 100), 0.0).status == "stored"
        assert shard.insert(make_chunk(task, 1, 101), 0.0).status == "wait"


def test_metrics_of_limiter_and_weights(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    """Spi 4, warm-up 16, buffer 48: after 24 inserts and one batch of 8 rows the cursor is 24."""
    service = Service(make_plan(), make_chunk)
    service.fill([12, 12])
    batch = service.sample(exponent=1.0)[0]
    service.sampler.update_priorities([batch], [np.linspace(0.1, 9, 8)])
    metrics = service.sampler.metrics()
    assert metrics["replay/limiter_cursor"] == 4 * (24 - 16) - 8
    assert metrics["replay/limiter_error_buffer"] == 48
    assert metrics["replay/limiter_inserts_left"] == 16 + (8 + 48) / 4 - 24
    assert metrics["replay/effective_sample_size"] == pytest.approx(1.0)
    weight = service.sample(exponent=1.0)[0].is_weight.astype(float)
    share = service.sampler.metrics()["replay/effective_sample_size"]
    assert share == pytest.approx(weight.sum() ** 2 / (8 * (weight**2).sum())) and share < 0.99


def test_more_batches_than_planned_are_refused(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    with pytest.raises(ValueError, match="must be 1 to the plan's batches_per_call=2, got 3"):
        Service(make_plan(), make_chunk).sample(3)


def test_the_end_of_the_run_is_told_from_a_wait(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    service = Service(make_plan(total_steps=40), make_chunk)
    service.fill([20, 20])
    drawn = 0
    with pytest.raises(ReplayFinished, match="all 40 steps"):
        while True:
            service.sample()
            drawn += 8
    assert drawn == 4 * (40 - 16) + 48  # the ratio, and the error buffer that the learner may run ahead


def test_state_counts_finished_updates_only_and_the_configuration_wins(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    service = Service(make_plan(), make_chunk)
    service.fill([20, 20])
    for _ in range(6):
        service.sample()
    state = service.sampler.state_dict(
        learner_steps=4
    )  # two batches were prefetched and are lost with the learner
    assert state == {"samples": 32, "inserted": [20, 20]}
    again = ReplaySampler(make_plan(replay={"samples_per_insert": 2.0}), LocalTransport(service.shards))
    again.load_state_dict(state)
    assert again.limiter_cursor == 2 * (40 - 16) - 32
    again.refresh(4)
    assert again.can_sample(1)


class UnsureTransport(LocalTransport):
    """Carries calls out or not and gives no answer: what a dying shard looks like from outside."""

    def __init__(self, shards: list[Shard], failure_rate: float, seed: int) -> None:
        super().__init__(shards)
        self._random = np.random.default_rng(seed)
        self._failure_rate = failure_rate
        self._lock = threading.Lock()

    def submit(self, shard: int, method: str, *args: Any) -> Pending:
        with self._lock:
            fails, carried_out = self._random.random(2) < (self._failure_rate, 0.5)
        if fails:
            if carried_out:
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
    failure_rate: float, make_plan: MakePlan, make_transitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three actors on four tasks, a learner, shards that fail under calls; the limiter's bounds hold."""
    monkeypatch.setattr("replay_service.sampler.RETRY_PERIOD_S", 0.001)
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
        serial = shard._tables._rows["obs"][table, :400, 0]
        # each once; a chunk that was overtaken at the end of the budget may be missing
        assert len(np.unique(serial)) == 400
        assert set(range(380)) <= set(serial.tolist())
    if failure_rate:
        assert sum(shard.stats().duplicate_chunks for shard in shards) > 0 and sampler.lost_updates > 0


def test_a_shard_that_lost_its_memory_is_refilled_and_goes_on_counting(
    make_plan: MakePlan, make_chunk: MakeChunk, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(make_plan(2, UNLIMITED | {"num_shards": 2}), make_chunk)
    service.fill([20, 20])
    batch = service.sample()[0]
    service.shards[1] = Shard(1, service.plan)
    service.sampler._transport = LocalTransport(service.shards)
    with caplog.at_level(logging.WARNING), pytest.raises(SampleTimeout, match=r"below the warm-up: \[1\]"):
        service.sample()
    assert "shard 1 lost its transitions of tasks [1]" in caplog.text
    service.fill([0, 8])
    assert service.sample()[0].group_sizes.tolist() == [4, 4]
    assert service.sampler.env_steps == 20 + 20 + 8
    assert service.shards[1].stats().inserted.tolist() == [28]
    service.sampler.update_priorities([batch], [np.ones(8)])
