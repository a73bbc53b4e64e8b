"""The loop against a real replay service: counts, priorities, publishing, reports, saves, stops."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from learner.checkpoint_period import CheckpointPeriod
from learner.config import LearnerConfig, SacConfig
from learner.finite_guard import NonFiniteLossError
from learner.loop import LearnerLoop, LearnerReport, LoopOutputs
from learner.prefetch import BatchSource, PrefetchSource
from learner.sac import SacLearner
from tests.learner.conftest import Replay

CPU = torch.device("cpu")
CONFIG = LearnerConfig(
    publish_every_updates=4, metrics_every_updates=5, batches_per_call=2, sample_timeout_s=0.05
)


class Run:
    """A learner loop on a replay service, with a record of its outputs."""

    def __init__(
        self,
        learner: SacLearner,
        replay: Replay,
        kind: type[BatchSource] = BatchSource,
        total_updates: int = 10,
        save_every: int | None = None,
        config: LearnerConfig = CONFIG,
    ) -> None:
        self.published: list[int] = []
        self.reports: list[LearnerReport] = []
        self.saved: list[int] = []
        outputs = LoopOutputs(
            publish=lambda weights: self.published.append(weights.version),
            report=self.reports.append,
            save=lambda: self.saved.append(learner.learner_steps),
        )
        exponent = replay.plan.sampling.is_exponent
        source = kind(replay.sampler, CPU, config, exponent, total_updates, learner.learner_steps)
        period = CheckpointPeriod(save_every)
        self.loop = LearnerLoop(learner, source, config, outputs, total_updates, period)


@pytest.fixture
def fed(replay: Replay) -> Replay:
    replay.warm_up()
    return replay


@pytest.mark.parametrize("kind", [BatchSource, PrefetchSource])
def test_runs_to_the_target(kind: type[BatchSource], fed: Replay, make_learner: Callable) -> None:
    run = Run(make_learner(), fed, kind, total_updates=11, save_every=5)
    run.loop.run()
    assert run.loop.learner_steps == 11 and run.loop.is_finished
    assert run.published == [0, 4, 8, 11]
    assert [report.learner_steps for report in run.reports] == [5, 10]
    assert run.saved == [5, 10, 11]
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_report_holds_clocks_and_values(fed: Replay, make_learner: Callable) -> None:
    run = Run(make_learner(), fed)
    run.loop.run()
    report = run.reports[-1]
    assert report.env_steps == 300
    named = {"train/critic_loss", "perf/updates_per_s", "perf/learner_wait_frac"}
    features = {"unique_gradient_share", "contrastive_active", "pool_effective_rank", "task_matrix_distance"}
    assert named | {f"train/{name}" for name in features} <= set(report.values)
    assert 0.0 <= report.values["perf/learner_wait_frac"] <= 1.0


def test_step_sizes_fall_with_the_updates(fed: Replay, make_learner: Callable) -> None:
    run = Run(
        make_learner(sac=SacConfig(learning_rate=1e-3, learning_rate_end_factor=0.1)), fed, total_updates=10
    )
    run.loop.run()
    assert [r.values["train/learning_rate"] for r in run.reports] == pytest.approx(
        [6.4e-4, 1.9e-4]
    )  # updates 5 and 10 of 10


def test_priorities_reach_the_drawn_transitions(fed: Replay, make_learner: Callable) -> None:
    """After one call's two updates the masses of all tasks have changed, and none before."""
    run = Run(make_learner(), fed, total_updates=2)

    def mass() -> np.ndarray:
        return np.concatenate([shard.stats().priority_mass for shard in fed.shards])

    before = mass()
    assert run.loop.step(1.0)
    np.testing.assert_array_equal(mass(), before)
    assert run.loop.step(1.0)
    assert (mass() != before).all()


def test_steps_of_a_serial_run(replay: Replay, make_learner: Callable) -> None:
    run = Run(make_learner(), replay, total_updates=3)
    assert not run.loop.step()  # nothing is stored yet
    replay.warm_up()
    assert [run.loop.step() for _ in range(5)] == [True, True, True, False, False]


def test_serial_runs_are_bit_reproducible(make_learner: Callable) -> None:
    weights = []
    for _ in range(2):
        learner, replay = make_learner(seed=3), Replay()
        replay.warm_up()
        Run(learner, replay, total_updates=8).loop.run()
        weights.append(learner.actor.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_stop_from_another_thread_publishes_and_saves(replay: Replay, make_learner: Callable) -> None:
    run = Run(make_learner(), replay, PrefetchSource)
    threading.Timer(0.2, run.loop.stop).start()
    run.loop.run()
    assert run.saved == [0] and run.published == [0, 0]


def test_fails_after_the_stall_timeout(replay: Replay, make_learner: Callable) -> None:
    config = CONFIG.model_copy(update={"stall_timeout_s": 0.2})
    run = Run(make_learner(), replay, PrefetchSource, config=config)
    with pytest.raises(TimeoutError, match=r"learner.stall_timeout_s.*tasks below the warm-up"):
        run.loop.run()
    assert not [t for t in threading.enumerate() if t.name == "prefetch"]


def test_logs_what_it_waits_for(
    replay: Replay, make_learner: Callable, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay_service.wait.REPORT_PERIOD_S", 0.1)
    run = Run(make_learner(), replay, PrefetchSource)
    threading.Timer(0.5, run.loop.stop).start()
    with caplog.at_level(logging.INFO, "learner.loop"):
        run.loop.run()
    assert "tasks below the warm-up" in caplog.text


def test_ends_where_the_replay_ends(make_learner: Callable) -> None:
    replay = Replay(total_steps=300)
    replay.warm_up()
    run = Run(make_learner(), replay, PrefetchSource, total_updates=10_000)
    run.loop.run()
    assert run.loop.is_finished and 0 < run.loop.learner_steps < 10_000
    assert run.saved == [run.loop.learner_steps]


def test_non_finite_loss_saves_and_publishes_nothing(fed: Replay, make_learner: Callable) -> None:
    learner = make_learner()
    run = Run(learner, fed, save_every=1)
    assert run.loop.step(1.0)
    with torch.no_grad():
        learner.log_alpha.fill_(float("nan"))
    with pytest.raises(NonFiniteLossError):
        run.loop.run()
    assert run.saved == [1] and run.published == [1]  # both from before the failure


def test_latched_failure_is_raised_before_priorities_are_sent(fed: Replay, make_learner: Callable) -> None:
    """On a GPU the failure is found when the priorities are read."""
    learner = make_learner()
    run = Run(learner, fed, total_updates=2)
    assert run.loop.step(1.0)
    learner.guard.tripped.fill_(1.0)
    with pytest.raises(NonFiniteLossError):
        run.loop.step(1.0)
