"""Updates from the mirror: counts, the limiter, priorities in the shards, restarts; nothing read within an update."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from learner.checkpoint_period import CheckpointPeriod
from learner.config import LearnerConfig, SacConfig
from learner.loop import LearnerLoop, LoopOutputs
from learner.mirror_source import DrawLeave
from learner.sac import SacLearner
from learner.update_mode import static_mode
from tests.learner.conftest import Replay, method_config
from tests.learner.mirrored import Mirrored
from tests.learner.test_static_update import Operations

CONFIG = LearnerConfig(publish_every_updates=4, metrics_every_updates=5, sample_timeout_s=0.05)


def static_learner(replay: Replay, sac: SacConfig | None = None) -> SacLearner:
    plan = replay.plan
    names = [f"task-{i}" for i in range(plan.num_tasks)]
    mode = static_mode(plan.sampling, plan.num_tasks)
    return SacLearner(
        method_config("stars"), sac or SacConfig(), plan.spec, names, torch.device("cpu"), 0, mode
    )


@pytest.fixture
def fed(replay: Replay) -> Replay:
    replay.warm_up()
    return replay


@pytest.mark.parametrize("uses_thread", [False, True])
def test_runs_to_the_target(uses_thread: bool, fed: Replay) -> None:
    learner, pair = static_learner(fed), Mirrored(fed)
    source, update = pair.source(learner, 11, uses_thread)
    reports, saved = [], []
    outputs = LoopOutputs(lambda _: None, reports.append, lambda: saved.append(learner.learner_steps))
    loop = LearnerLoop(learner, source, CONFIG, outputs, 11, CheckpointPeriod(5), update)
    loop.run()
    assert loop.learner_steps == 11 and saved == [5, 10, 11]
    assert [report.learner_steps for report in reports] == [5, 10]
    assert reports[-1].values["train/critic_loss"] > 0
    assert fed.sampler._limiter.samples == 11 * fed.plan.batch_size
    assert not [t for t in threading.enumerate() if t.name == "mirror"]
    for shard in fed.shards:
        tables = shard._content.tables
        for table in range(len(tables.task_id)):
            assert len(np.unique(tables.copy_priority(table))) > 5, "priorities have come back"


def test_the_limiter_holds_the_learner_back(fed: Replay) -> None:
    learner, pair = static_learner(fed), Mirrored(fed)
    source, update = pair.source(learner, 10_000, False)
    steps = 0
    while leave := source.next(steps, 0.0):
        update(leave)
        steps += 1
    limiter = fed.sampler._limiter
    assert 0 < steps < 200 and not limiter.can_sample(fed.plan.batch_size)
    assert "limiter cursor" in source.blocker
    fed.sampler.refresh(steps)
    fed.insert()
    assert source.next(steps, 0.0) is not None, "more rows admit more"


def test_without_the_warm_up_there_is_no_leave(replay: Replay) -> None:
    source, _ = Mirrored(replay).source(static_learner(replay), 10, False)
    assert source.next(0, 0.0) is None
    assert "the mirror, which holds [0, 0, 0] rows" in source.blocker


def test_a_resumed_learner_says_that_its_mirror_is_filled(
    fed: Replay, caplog: pytest.LogCaptureFixture
) -> None:
    learner = static_learner(fed)
    learner.learner_steps = 3
    source, _ = Mirrored(fed).source(learner, 10, False)
    with caplog.at_level(logging.WARNING):
        assert source.next(3, 0.0) is not None
    assert "the mirror is filled again from the shards: 300 rows" in caplog.text


@pytest.mark.parametrize("actor_every", [1, 2])
def test_draw_and_update_read_nothing_on_the_host(actor_every: int, fed: Replay) -> None:
    learner, pair = static_learner(fed, SacConfig(actor_every=actor_every)), Mirrored(fed)
    source, update = pair.source(learner, 100, False)
    for step in range(2):
        leave = source.next(step, 0.0)
        assert leave is not None
        update(leave)
    lists = []
    for quota in ([8, 8, 8], [16, 4, 4], [16, 4, 4], [2, 12, 10]):
        update._quota.copy_(torch.tensor(quota))
        with Operations() as operations:
            update._draw_and_update()
        lists.append(operations.seen)
    assert lists[0] == lists[2] and lists[1] == lists[3]
    assert (lists[0] == lists[1]) == (actor_every == 1)


def test_schedules_follow_the_devices_own_count(fed: Replay) -> None:
    sac = SacConfig(learning_rate=1e-3, learning_rate_end_factor=0.5)
    learner, pair = static_learner(fed, sac), Mirrored(fed)
    source, update = pair.source(learner, 10, False)
    rates = []
    for step in range(3):
        leave = source.next(step, 0.0)
        assert leave is not None
        update(leave)
        rates.append(learner.learning_rate)
    assert rates == pytest.approx([1e-3, 0.95e-3, 0.9e-3])


def test_the_same_seed_draws_the_same(make_learner: Callable) -> None:
    losses = []
    for _ in range(2):
        replay = Replay()
        replay.warm_up()
        source, update = Mirrored(replay).source(static_learner(replay), 10, False)
        leaves = [source.next(step, 0.0) for step in range(3)]
        losses.append([float(update(leave).critic.loss) for leave in leaves if isinstance(leave, DrawLeave)])
    assert len(losses[0]) == 3 and losses[0] == losses[1]
