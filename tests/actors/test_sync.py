"""What passes between an actor and its run takes effect between two chunks: weights, tasks, heartbeats."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from actors import rollout
from actors.assignment import Assignment
from actors.config import ActorsConfig
from actors.environment import build_environment
from actors.policy import NumpyPolicy
from actors.policy_weights import PolicyWeights
from actors.rollout import RolloutWorker
from actors.sync import ActorStats, SyncReply
from tests.actors.conftest import MakeWeights
from tests.actors.recorded_worker import (
    ENVIRONMENT,
    SUITE,
    NewWeights,
    RecordingWriter,
    acknowledge,
    worker_of,
)

AT_EVERY_STEP = 1e-9  # weights_poll_s


class RepliesAtStep:
    """A sync that replies with news once, at the first call after so many steps of the actor."""

    def __init__(self, replies: dict[int, SyncReply]) -> None:
        self.replies = replies
        self.stats: list[ActorStats] = []

    def __call__(self, stats: ActorStats) -> SyncReply:
        self.stats.append(stats)
        return self.replies.pop(stats.env_steps, SyncReply())


def test_weights_that_arrive_within_a_chunk_are_taken_before_the_next(make_weights: MakeWeights) -> None:
    sync = RepliesAtStep({20: SyncReply(make_weights(version=7))})
    worker, writer = worker_of(sync, weights_poll_s=AT_EVERY_STEP)
    unaware, expected = worker_of(NewWeights())
    worker.collect_chunk()
    unaware.collect_chunk()
    assert not sync.replies, "the weights came within the chunk"
    for chunk, same in zip(writer.chunks, expected.chunks, strict=True):
        assert chunk.weights_version == 0
        np.testing.assert_array_equal(chunk.transitions.action, same.transitions.action)
    assert sync.stats[-1].weights_version is None
    worker.collect_chunk()
    assert [chunk.weights_version for chunk in writer.chunks] == [0, 0, 7, 7]
    assert sync.stats[-1].weights_version == 7


def test_the_newest_of_the_weights_that_arrive_within_a_chunk_are_taken(make_weights: MakeWeights) -> None:
    replies = {step: SyncReply(make_weights(version=version)) for step, version in ((10, 7), (40, 9))}
    worker, writer = worker_of(RepliesAtStep(replies), weights_poll_s=AT_EVERY_STEP)
    worker.collect_chunk()
    worker.collect_chunk()
    assert [chunk.weights_version for chunk in writer.chunks] == [0, 0, 9, 9]


@pytest.mark.parametrize("step", [0, 20, 60], ids=["before the chunk", "within it", "at its end"])
def test_task_ids_in_a_reply_lead_to_reassignment_between_two_chunks(step: int) -> None:
    sync = RepliesAtStep({step: SyncReply(task_ids=(1, 3))})
    worker, writer = worker_of(sync, weights_poll_s=AT_EVERY_STEP)
    assert worker.collect_chunk() == 2
    assert [set(chunk.transitions.task_id) for chunk in writer.chunks] == [{0}, {1}]
    assert worker.task_ids == (1, 3)
    assert writer.open_tasks == [1, 3]
    assert worker.collect_chunk() == 2
    assert [set(chunk.transitions.task_id) for chunk in writer.chunks[2:]] == [{1}, {3}]


def test_an_actor_whose_tasks_all_wait_is_reassigned_too() -> None:
    worker, writer = worker_of(RepliesAtStep({0: SyncReply(task_ids=(2,))}), weights_poll_s=AT_EVERY_STEP)
    writer.waiting_tasks = {0, 1}
    assert worker.collect_chunk() == 0
    assert worker.task_ids == (2,)


def test_a_reply_without_news_changes_nothing(make_weights: MakeWeights) -> None:
    """Nor does one that names the tasks that the actor has, nor how often it syncs."""
    weights, chunks = make_weights(version=3), []
    own_tasks = {30: SyncReply(task_ids=(1, 0))}
    for poll_s, news, num_syncs in ((AT_EVERY_STEP, {}, 96), (AT_EVERY_STEP, own_tasks, 96), (1000.0, {}, 4)):
        sync = RepliesAtStep({0: SyncReply(weights), **news})
        worker, writer = worker_of(sync, weights_poll_s=poll_s, hang_timeout_s=5000.0)
        for _ in range(3):
            worker.collect_chunk()
        assert (worker.task_ids, len(sync.stats)) == ((0, 1), num_syncs)
        chunks.append(writer.chunks)
    for first, *others in zip(*chunks, strict=True):
        for other in others:
            assert first.weights_version == other.weights_version == 3
            for column, same in zip(first.transitions, other.transitions, strict=True):
                np.testing.assert_array_equal(column, same)


@pytest.mark.parametrize("chunk_steps", [1, 3, 4, 100])
def test_heartbeats_sent_at_syncs_are_one_period_apart(
    chunk_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sender that sends at most one a period, as the coordinator's client does; a step takes 0.3 s here."""
    clock, sent = SimpleNamespace(now=0.0), [0.0]

    def monotonic() -> float:
        clock.now += 0.3
        return clock.now

    def sync(stats: ActorStats) -> SyncReply:
        if clock.now >= sent[-1] + 1.0:
            sent.append(clock.now)
        return SyncReply()

    times = SimpleNamespace(monotonic=monotonic, perf_counter=lambda: clock.now)
    monkeypatch.setattr(rollout, "time", times)
    worker, _ = worker_of(sync, task_ids=(0,), chunk_steps=chunk_steps, weights_poll_s=1.0)
    while clock.now < 300.0:
        worker.collect_chunk()
    assert np.diff(sent).max() < 1.0 + 3 * 0.3


def test_tasks_are_exchanged_between_two_chunks(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(NewWeights(make_weights(version=3)))
    worker.collect_chunk()
    worker.reassign((1, 3))
    assert worker.task_ids == (1, 3)
    worker.collect_chunk()
    assert [chunk.transitions.task_id[0] for chunk in writer.chunks] == [0, 1, 1, 3]
    kept, new = writer.chunks[2].transitions, writer.chunks[3].transitions
    env = build_environment(SUITE, 3, 1, (0, 0, 2), ENVIRONMENT)  # its third environment, with its own stream
    np.testing.assert_array_equal(new.obs[0], env.reset()[0])
    rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(9001, 0, 0)))
    rng.standard_normal((30, 2, 2), dtype=np.float32)
    policy = NumpyPolicy(make_weights(version=3), (1, 3), SUITE.obs_dim)
    obs = np.stack([kept.obs[0], new.obs[0]])
    np.testing.assert_array_equal(new.action[0], policy.act(obs, *policy.draw_noise(rng, 1))[1])
    stats = worker.stats()
    assert (stats.env_steps, stats.ended_episodes) == (4 * 30, 5)  # the steps of the task that was left count


def test_an_actor_reports_while_it_steps_and_while_it_waits() -> None:
    synced: list[ActorStats] = []

    def sync(stats: ActorStats) -> SyncReply:
        synced.append(stats)
        return SyncReply()

    writer = RecordingWriter((0,))
    actors = ActorsConfig(
        envs_per_actor=1, chunk_steps=30, weights_poll_s=1e-9, max_policy_lag=8, weights_deadline_s=0.01
    )
    worker = RolloutWorker(Assignment(0, 0, SUITE, (0,), seed=1), actors, ENVIRONMENT, writer, sync)
    worker.collect_chunk()
    assert [stats.env_steps for stats in synced] == [0, *range(31)]
    acknowledge(writer, 50)
    with pytest.raises(TimeoutError):
        worker.collect_chunk()
    assert len(synced) >= 34


def test_an_actor_past_the_lag_waits_for_newer_weights(make_weights: MakeWeights) -> None:
    news: list[PolicyWeights | None] = [make_weights(version=100)]

    def sync(stats: ActorStats) -> SyncReply:
        return SyncReply(news.pop(0) if news else None)

    worker, writer = worker_of(sync, max_policy_lag=8, weights_poll_s=0.001)
    acknowledge(writer, 108)
    assert worker.collect_chunk() == 2  # a lag of exactly the bound is allowed
    acknowledge(writer, 109)
    news += [
        None,
        make_weights(version=100),
        None,
        make_weights(version=105),
    ]  # the first is as old as before
    assert worker.collect_chunk() == 2
    assert news == []
    assert writer.chunks[-1].weights_version == 105
    assert worker.stats().waiting_s >= 0.001  # weights_poll_s


def test_a_wait_for_weights_has_a_deadline() -> None:
    worker, writer = worker_of(NewWeights(), max_policy_lag=8, weights_deadline_s=0.02)
    acknowledge(writer, 50)
    with pytest.raises(
        TimeoutError, match=r"holds version None, the learner is at step 50, max_policy_lag is 8"
    ):
        worker.collect_chunk()
