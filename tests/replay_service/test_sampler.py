"""The learner's client with shards in this process."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replay_service.plan import ReplayPlan
from replay_service.sampler import ReplayFinished, ReplaySampler, SampleTimeout
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import Chunk

MakePlan = Callable[..., ReplayPlan]
MakeChunk = Callable[..., Chunk]
MakeService = Callable[[ReplayPlan], Any]
UNLIMITED = {"error_buffer": 1e12}


@pytest.mark.parametrize("num_shards", [1, 2, 3])
def test_batches_are_sorted_by_task_and_whole(
    num_shards: int, make_plan: MakePlan, make_service: MakeService
) -> None:
    replay = {"capacity_per_task": 100, "num_shards": num_shards} | UNLIMITED
    service = make_service(make_plan(5, replay, {"batch_size_per_task": 8}, batches_per_call=3))
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


def test_masses_and_sizes_are_those_of_the_draw(make_plan: MakePlan, make_service: MakeService) -> None:
    service = make_service(make_plan(replay={"capacity_per_task": 100} | UNLIMITED))
    service.fill([10, 10])
    batch = service.sample(exponent=1.0)[0]
    service.fill([50, 0])
    service.sampler.update_priorities([batch], [np.full(8, 100.0)])
    np.testing.assert_allclose(batch.info.probability, 0.1)
    np.testing.assert_allclose(batch.is_weight, 1.0, rtol=1e-6)


def test_quotas_follow_the_success_rates(make_plan: MakePlan, make_service: MakeService) -> None:
    service = make_service(make_plan(2, UNLIMITED | {"num_shards": 2}, {"batch_size_per_task": 8}))
    service.fill([8, 8], successes=[1, None])
    assert service.sample()[0].group_sizes.tolist() == [8, 8]  # task 1 has no episode yet
    service.fill([1, 1], successes=[None, 0])
    service.sampler.refresh(0)
    assert service.sample()[0].group_sizes.tolist() == [4, 12]
    assert service.sampler.newest_group_sizes.tolist() == [4, 12]
    np.testing.assert_allclose(service.sampler.task_probability, [0.25, 0.75])


def test_uniform_sampling_is_configuration_only(make_plan: MakePlan, make_service: MakeService) -> None:
    sampling = {"priority_exponent": 0.0, "task_priority": {"enabled": False}}
    service = make_service(make_plan(2, UNLIMITED, sampling))
    service.fill([8, 20], successes=[1, 0])
    batch = service.sample()[0]
    service.sampler.update_priorities([batch], [np.arange(8.0)])
    batch = service.sample(exponent=1.0)[0]
    assert batch.group_sizes.tolist() == [4, 4]
    np.testing.assert_allclose(batch.info.probability, [1 / 8] * 4 + [1 / 20] * 4)
    np.testing.assert_allclose(batch.is_weight, 1.0)


def test_sampling_waits_for_the_warmup_of_every_task_and_names_those_below(
    make_plan: MakePlan, make_service: MakeService
) -> None:
    service = make_service(make_plan())
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
    make_plan: MakePlan, make_service: MakeService, make_chunk: MakeChunk
) -> None:
    """Spi 4, warm-up 16, buffer 48: 64 rows at 20 inserts; then 4 rows per insert."""
    service = make_service(make_plan())
    service.fill([10, 10])
    for _ in range(8):
        service.sample()  # 8 rows each, cursor 16 - 64 = -48
    with pytest.raises(SampleTimeout, match="need a limiter cursor of at least -40, it is -48"):
        service.sample()
    service.fill([1, 1])
    service.sample()
    with pytest.raises(SampleTimeout):
        service.sample()
    # 72 samples: up to 16 + (72 + 48) / 4 = 46 inserts, 23 per task
    shard = service.shards[0]
    for task in (0, 1):
        assert shard.insert(make_chunk(task, 12, 100), 0.0).status == "stored"
        assert shard.insert(make_chunk(task, 1, 101), 0.0).status == "wait"


def test_metrics_of_limiter_and_weights(make_plan: MakePlan, make_service: MakeService) -> None:
    """Spi 4, warm-up 16, buffer 48: after 24 inserts and one batch of 8 rows the cursor is 24."""
    service = make_service(make_plan())
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


def test_more_batches_than_planned_are_refused(make_plan: MakePlan, make_service: MakeService) -> None:
    with pytest.raises(ValueError, match="must be 1 to the plan's batches_per_call=2, got 3"):
        make_service(make_plan()).sample(3)


def test_the_end_of_the_run_is_no_timeout(make_plan: MakePlan, make_service: MakeService) -> None:
    service = make_service(make_plan(total_steps=40))
    service.fill([20, 20])
    drawn = 0
    with pytest.raises(ReplayFinished, match="all 40 steps"):
        while True:
            service.sample()
            drawn += 8
    assert drawn == 4 * (40 - 16) + 48  # the ratio, and the error buffer that the learner may run ahead


def test_state_counts_finished_updates_only_and_the_configuration_wins(
    make_plan: MakePlan, make_service: MakeService
) -> None:
    service = make_service(make_plan())
    service.fill([20, 20])
    for _ in range(6):
        service.sample()
    # two batches were prefetched and are lost with the learner
    state = service.sampler.state_dict(learner_steps=4)
    assert state == {"samples": 32, "inserted": [20, 20], "refilled": 0}
    again = ReplaySampler(make_plan(replay={"samples_per_insert": 2.0}), LocalTransport(service.shards))
    again.load_state_dict(state)
    assert again.limiter_cursor == 2 * (40 - 16) - 32
    again.refresh(4)
    assert again.can_sample(1)


def test_a_shard_that_lost_its_memory_is_refilled_and_goes_on_counting(
    make_plan: MakePlan, make_service: MakeService, caplog: pytest.LogCaptureFixture
) -> None:
    service = make_service(make_plan(2, UNLIMITED | {"num_shards": 2}))
    service.fill([20, 20])
    batch = service.sample()[0]
    service.shards[1] = Shard(1, service.plan)
    with caplog.at_level(logging.WARNING), pytest.raises(SampleTimeout, match=r"below the warm-up: \[1\]"):
        service.sample()
    assert "shard 1 lost its transitions of tasks [1]" in caplog.text
    service.fill([0, 8])
    assert service.sample()[0].group_sizes.tolist() == [4, 4]
    assert service.sampler.env_steps == 20 + 20 + 8
    assert service.shards[1].stats().inserted.tolist() == [28]
    service.sampler.update_priorities([batch], [np.ones(8)])


def draw_all(service: Any) -> int:
    drawn = 0
    with pytest.raises((SampleTimeout, ReplayFinished)):
        while True:
            drawn += len(service.sample()[0].info.key)
    return drawn


@pytest.mark.parametrize("restarted", [False, True], ids=["same learner", "restarted learner"])
def test_a_refill_of_what_was_lost_calls_for_no_samples(
    restarted: bool, make_plan: MakePlan, make_service: MakeService
) -> None:
    """Neither all at once when the tables are warm again, nor after the learner has been restarted from then."""
    service = make_service(
        make_plan(2, {"num_shards": 2, "warmup_steps_per_task": 30, "capacity_per_task": 50})
    )
    service.fill([50, 50])
    drawn = draw_all(service)
    for index in range(2):
        service.shards[index] = Shard(index, service.plan)
    assert draw_all(service) == 0
    service.fill([30, 30])
    assert draw_all(service) == 0
    if restarted:
        state = service.sampler.state_dict(drawn // service.plan.batch_size)
        service.sampler = ReplaySampler(service.plan, LocalTransport(service.shards))
        service.sampler.load_state_dict(state)
    service.fill([4, 4])
    assert draw_all(service) == 8 * 4


def test_rows_of_the_draw_that_finds_a_loss_are_drawn_later(
    make_plan: MakePlan, make_service: MakeService
) -> None:
    """With spi 4 and a buffer of 48, 100 inserts after a warm-up of 60 admit 26 batches of 8 rows."""
    service = make_service(
        make_plan(2, {"num_shards": 2, "warmup_steps_per_task": 30, "capacity_per_task": 50})
    )
    service.fill([50, 50])
    service.sample()
    service.shards[1] = Shard(1, service.plan)
    with pytest.raises(SampleTimeout):
        service.sample()
    service.fill([0, 30])
    assert draw_all(service) == (26 - 1) * 8


class RestartingTransport(LocalTransport):
    """Restarts a shard before the sampler has taken its answer to a draw, of which another thread hears first."""

    def submit(self, shard: int, method: str, *args: Any) -> Any:
        answer = super().submit(shard, method, *args)
        if method == "sample" and shard == len(self._shards) - 1:
            self.meanwhile()
        return answer

    def meanwhile(self) -> None:
        """Replaced by the test."""


def test_an_answer_of_the_process_before_a_restart_makes_no_step_count_twice(
    make_plan: MakePlan, make_chunk: MakeChunk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = make_plan(2, UNLIMITED | {"storage": "mapped", "num_shards": 2})
    shards = [Shard(index, plan, tmp_path) for index in range(2)]
    transport = RestartingTransport(shards)
    sampler = ReplaySampler(plan, transport)
    for sequence in range(2):
        for task in (0, 1):
            assert shards[task].insert(make_chunk(task, 4, sequence), 0.0).status == "stored"
    sampler.refresh(0)

    def restart() -> None:
        shards[1].insert(make_chunk(1, 4, 2), 0.0)
        shards[1]._storage.close()  # as a kill does
        shards[1] = Shard(1, plan, tmp_path)
        sampler.refresh(0)
        shards[1].insert(make_chunk(1, 4, 3), 0.0)
        sampler.refresh(0)

    transport.meanwhile = restart
    assert len(sampler.sample(1, 0, 0.4, 0.0)) == 1
    assert shards[1].stats().inserted.tolist() == [16] and "lost its transitions" not in caplog.text


def test_a_table_that_was_lost_near_the_end_does_not_hold_up_the_rest(
    make_plan: MakePlan, make_service: MakeService
) -> None:
    """Its last 5 steps are fewer than the warm-up of 8."""
    service = make_service(make_plan(2, {"num_shards": 2} | UNLIMITED, total_steps=60))
    service.fill([25, 25])
    service.sample()
    service.shards[1] = Shard(1, service.plan)
    assert draw_all(service) == 0
    service.fill([0, 5])
    assert service.sample()[0].group_sizes.tolist() == [4, 4]


def test_a_run_whose_replay_was_lost_ends_where_too_few_steps_are_left(
    make_plan: MakePlan, make_service: MakeService
) -> None:
    service = make_service(make_plan(2, {"num_shards": 2} | UNLIMITED, total_steps=60))
    service.fill([30, 30])
    service.sample()
    service.shards[0] = Shard(0, service.plan)
    with pytest.raises(ReplayFinished):
        service.sample()
