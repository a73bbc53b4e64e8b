"""The rollout worker on toy tasks; what it sends is compared with stepping by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from actors.assignment import Assignment
from actors.config import ActorsConfig, EnvironmentConfig
from actors.environment import build_environment
from actors.policy import NumpyPolicy, PolicyWeights
from actors.rollout import RolloutWorker
from actors.suites import parse_suite
from actors.sync import ActorStats, Sync, SyncReply
from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import EpisodeEnd, TransitionBatch, TransitionSpec
from replay_service.writer import ReplayWriter

MakeWeights = Callable[..., PolicyWeights]
SUITE = parse_suite("toy:4", horizon=20)
ENVIRONMENT = EnvironmentConfig(horizon=20)


class Sent(NamedTuple):
    transitions: TransitionBatch
    episodes: tuple[EpisodeEnd, ...]
    weights_version: int


class RecordingWriter:
    """Keeps every chunk; which tasks are ready or closed is set from outside."""

    def __init__(self, task_ids: tuple[int, ...]) -> None:
        self.chunks: list[Sent] = []
        self.acknowledged_steps = 0  # what the next acknowledgement says
        self.learner_steps = 0
        self.open_tasks = list(dict.fromkeys(task_ids))
        self.waiting_tasks: set[int] = set()

    @property
    def closed(self) -> bool:
        return not self.open_tasks

    def ready_tasks(self, timeout_s: float = 0.0) -> list[int]:
        return [task for task in self.open_tasks if task not in self.waiting_tasks]

    def write(
        self, transitions: TransitionBatch, episodes: Sequence[EpisodeEnd], weights_version: int
    ) -> None:
        self.chunks.append(Sent(transitions, tuple(episodes), weights_version))
        self.learner_steps = self.acknowledged_steps

    def take_on(self, task: int) -> None:
        self.open_tasks.append(task)

    def leave(self, task: int) -> None:
        self.open_tasks.remove(task)


class Weights:
    """A source of weights that has a newer version once the actor holds the one before."""

    def __init__(self, *versions: PolicyWeights) -> None:
        self.upcoming = list(versions)
        self.held: list[int | None] = []  # what the actor held when it asked, each version once
        self._given: int | None = None

    def __call__(self, stats: ActorStats) -> SyncReply:
        if stats.weights_version not in self.held:
            self.held.append(stats.weights_version)
        if stats.weights_version != self._given or not self.upcoming:
            return SyncReply()
        self._given = self.upcoming[0].version
        return SyncReply(self.upcoming.pop(0))


def worker_of(
    sync: Sync, task_ids: tuple[int, ...] = (0, 1), incarnation: int = 0, **config: Any
) -> tuple[RolloutWorker, RecordingWriter]:
    writer = RecordingWriter(task_ids)
    assignment = Assignment(0, incarnation, SUITE, task_ids, seed=1)
    actors = ActorsConfig(**{"envs_per_actor": 1, "chunk_steps": 30, "weights_poll_s": 1.0, **config})
    return RolloutWorker(assignment, actors, ENVIRONMENT, writer, sync), writer


def acknowledge(writer: RecordingWriter, learner_steps: int) -> None:
    """What the writer hears from now on."""
    writer.acknowledged_steps = writer.learner_steps = learner_steps


def test_chunks_hold_what_stepping_by_hand_gives() -> None:
    worker, writer = worker_of(Weights())
    assert worker.collect_chunk() == 2
    assert worker.collect_chunk() == 2
    assert [chunk.transitions.task_id[0] for chunk in writer.chunks] == [0, 1, 0, 1]
    for slot, task_id in enumerate((0, 1)):
        env = build_environment(SUITE, task_id, 1, (0, 0, slot), ENVIRONMENT)
        obs, _ = env.reset()
        returns, return_ = [], 0.0
        for chunk in writer.chunks[slot::2]:
            rows = zip(*chunk.transitions, strict=True)
            for row_obs, action, reward, next_obs, terminated, row_task in rows:
                np.testing.assert_array_equal(row_obs, obs)
                obs, expected_reward, _, truncated, _ = env.step(action)
                np.testing.assert_array_equal(next_obs, obs)  # the final observation too
                assert reward == np.float32(expected_reward)
                assert (terminated, row_task) == (False, task_id)
                return_ += expected_reward
                if truncated:
                    returns.append(return_)
                    return_ = 0.0
                    obs, _ = env.reset()
        episodes = [episode for chunk in writer.chunks[slot::2] for episode in chunk.episodes]
        assert [episode.return_ for episode in episodes] == returns
        assert [episode.length for episode in episodes] == [20, 20, 20]


def test_random_actions_until_the_first_update_then_the_policys(make_weights: MakeWeights) -> None:
    weights = Weights(make_weights(version=0), make_weights(version=7))
    worker, writer = worker_of(weights)
    worker.collect_chunk()
    worker.collect_chunk()
    worker.collect_chunk()
    assert weights.held == [None, 0, 7]
    assert [chunk.weights_version for chunk in writer.chunks] == [0, 0, 7, 7, 7, 7]
    rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(9001, 0, 0)))
    uniform = np.stack([rng.uniform(-1, 1, (2, 2)).astype(np.float32) for _ in range(30)])
    for slot in (0, 1):
        np.testing.assert_array_equal(writer.chunks[slot].transitions.action, uniform[:, slot])
    policy = NumpyPolicy(make_weights(version=7), (0, 1), SUITE.obs_dim)
    for row in range(30):
        obs = np.stack([writer.chunks[2 + slot].transitions.obs[row] for slot in (0, 1)])
        actions = policy.act(obs, *policy.draw_noise(rng, 1))
        for slot in (0, 1):
            np.testing.assert_array_equal(writer.chunks[2 + slot].transitions.action[row], actions[slot])


def test_the_untrained_policy_acts_if_configured(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(Weights(make_weights(version=0)), warmup_actions="policy")
    worker.collect_chunk()
    first = writer.chunks[0].transitions
    rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(9001, 0, 0)))
    obs = np.stack([chunk.transitions.obs[0] for chunk in writer.chunks])
    policy = NumpyPolicy(make_weights(version=0), (0, 1), SUITE.obs_dim)
    np.testing.assert_array_equal(first.action[0], policy.act(obs, *policy.draw_noise(rng, 1))[0])


def test_only_tasks_that_the_limiter_lets_go_on_are_stepped(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(Weights(make_weights(version=3)))
    sent = []
    for waiting in (set(), {0}, {0, 1}, {1}, set()):
        writer.waiting_tasks = waiting
        sent.append(worker.collect_chunk())
    assert sent == [2, 1, 0, 1, 2]
    assert [chunk.transitions.task_id[0] for chunk in writer.chunks] == [0, 1, 1, 0, 0, 1]
    assert worker.stats().env_steps == 6 * 30
    # The policy of the tasks that go on acts, also when they are others than before.
    policy = NumpyPolicy(make_weights(version=3), (1,), SUITE.obs_dim)
    rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(9001, 0, 0)))
    rng.standard_normal((30, 2, 2), dtype=np.float32)
    second = writer.chunks[2].transitions
    np.testing.assert_array_equal(second.action[0], policy.act(second.obs[:1], *policy.draw_noise(rng, 1))[0])


def test_an_actor_is_finished_when_all_its_tasks_are_closed() -> None:
    worker, writer = worker_of(Weights())
    writer.open_tasks = [1]
    assert worker.collect_chunk() == 1
    assert not worker.finished
    writer.open_tasks = []
    assert worker.collect_chunk() == 0
    assert worker.finished


def test_tasks_are_exchanged_between_two_chunks(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(Weights(make_weights(version=3)))
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


def test_several_environments_of_a_task_share_its_chunks(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(Weights(make_weights(version=3)), (1, 2), envs_per_actor=6)
    assert worker.collect_chunk() == 2
    first, second = writer.chunks
    assert first.transitions.task_id.tolist() == [1] * 30
    assert second.transitions.task_id.tolist() == [2] * 30
    starts = [0, 10, 20]  # three environments a task, ten rows each
    assert len({tuple(first.transitions.obs[row]) for row in starts}) == 3
    for start in starts:
        rows = slice(start, start + 9)
        np.testing.assert_array_equal(
            first.transitions.next_obs[rows], first.transitions.obs[start + 1 :][:9]
        )
    rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(9001, 0, 0)))
    policy = NumpyPolicy(make_weights(version=3), (1, 1, 1, 2, 2, 2), SUITE.obs_dim)
    obs = np.concatenate([chunk.transitions.obs[starts] for chunk in writer.chunks])
    actions = np.concatenate([chunk.transitions.action[starts] for chunk in writer.chunks])
    np.testing.assert_array_equal(actions, policy.act(obs, *policy.draw_noise(rng, 1)))
    worker.collect_chunk()
    assert [len(chunk.episodes) for chunk in writer.chunks] == [0, 0, 3, 3]


@pytest.mark.parametrize(
    ("task_ids", "envs_per_actor", "expected"),
    [
        ((0,), 4, {0: 4}),
        ((0, 1, 2), 4, {0: 1, 1: 1, 2: 1}),
        ((0, 1), 5, {0: 2, 1: 2}),
        ((0, 1), 1, {0: 1, 1: 1}),
    ],
)
def test_environments_are_shared_out(
    task_ids: tuple[int, ...], envs_per_actor: int, expected: dict[int, int]
) -> None:
    worker, _ = worker_of(Weights(), task_ids, envs_per_actor=envs_per_actor)
    runners = [runner["rng"] for runner in worker.state_dict()["runners"]]
    assert len(runners) == sum(expected.values())
    assert {task: len(runners) for task, runners in worker._runners.items()} == expected


@pytest.mark.parametrize(("chunk_steps", "rows"), [(30, [7, 7, 8, 8]), (3, [1, 1, 1])])
def test_a_chunk_has_its_steps_however_many_environments_share_it(
    make_weights: MakeWeights, chunk_steps: int, rows: list[int]
) -> None:
    weights = Weights(make_weights(version=3))
    worker, writer = worker_of(weights, (1,), envs_per_actor=4, chunk_steps=chunk_steps)
    assert [runner.missing_steps for runner in worker._runners[1]] == rows
    worker.collect_chunk()
    worker.collect_chunk()
    assert [len(chunk.transitions.reward) for chunk in writer.chunks] == [chunk_steps] * 2


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
    worker, writer = worker_of(Weights(), max_policy_lag=8, weights_deadline_s=0.02)
    acknowledge(writer, 50)
    with pytest.raises(
        TimeoutError, match=r"holds version None, the learner is at step 50, max_policy_lag is 8"
    ):
        worker.collect_chunk()


def test_a_learner_that_went_back_is_not_waited_for(make_weights: MakeWeights) -> None:
    weights = Weights(make_weights(version=100), make_weights(version=60))
    worker, writer = worker_of(weights, max_policy_lag=8, weights_deadline_s=0.02)
    acknowledge(writer, 105)
    assert worker.collect_chunk() == 2
    assert worker.collect_chunk() == 2  # with version 60, while the shards still report the old count
    acknowledge(writer, 61)
    assert worker.collect_chunk() == 2
    acknowledge(writer, 69)  # from here on the bound holds again
    with pytest.raises(TimeoutError, match="learner is at step 69"):
        worker.collect_chunk()


def test_no_bound_no_wait(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(Weights(make_weights(version=1)), max_policy_lag=None)
    acknowledge(writer, 10**9)
    assert worker.collect_chunk() == 2


def actions_of(incarnation: int) -> np.ndarray:
    worker, writer = worker_of(Weights(), incarnation=incarnation)
    worker.collect_chunk()
    return np.stack([chunk.transitions.action for chunk in writer.chunks])


def test_the_same_seed_gives_the_same_chunks_and_a_restarted_actor_others() -> None:
    np.testing.assert_array_equal(actions_of(0), actions_of(0))
    assert not np.array_equal(actions_of(0), actions_of(1))


def test_a_state_gives_random_streams_and_counters_back(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(Weights(make_weights()))
    worker.collect_chunk()
    state = json.loads(json.dumps(worker.state_dict()))
    chunks = []
    for _ in range(2):
        other, other_writer = worker_of(Weights(make_weights()), incarnation=1)
        other.load_state_dict(state)
        assert (other.stats().env_steps, other.stats().ended_episodes) == (60, 2)
        other.collect_chunk()
        chunks.append(other_writer.chunks[0].transitions)
    np.testing.assert_array_equal(chunks[0].action, chunks[1].action)
    np.testing.assert_array_equal(chunks[0].obs, chunks[1].obs)
    assert not np.array_equal(chunks[0].action, writer.chunks[0].transitions.action)


def test_stats(make_weights: MakeWeights) -> None:
    worker, _ = worker_of(Weights(make_weights(version=2)))
    assert set(worker.stats().shares().values()) == {0.0}
    worker.collect_chunk()
    stats = worker.stats()
    assert (stats.actor, stats.incarnation, stats.env_steps, stats.ended_episodes) == (0, 0, 60, 2)
    assert (stats.failed_episodes, stats.weights_version) == (0, 2)
    assert sum(stats.shares().values()) == pytest.approx(1.0)
    assert list(stats.shares()) == ["environment", "policy", "sending", "waiting"]


def test_the_replay_service_stores_what_an_actor_sends(make_weights: MakeWeights) -> None:
    """The real writer and a real shard, in this process; the budget of the run ends the actor."""
    plan = ReplayPlan(
        TransitionSpec(4, SUITE.obs_dim, SUITE.action_dim),
        ReplayConfig(storage="memory", num_shards=1, warmup_steps_per_task=100, capacity_per_task=1000),
        SamplingConfig(),
        total_steps=480,
        chunk_steps=30,
        batches_per_call=1,
        seed=1,
    )
    shard = Shard(0, plan)
    task_ids = (0, 1, 2, 3)
    writer = ReplayWriter(plan, LocalTransport([shard]), 0, 0, task_ids)
    worker = RolloutWorker(
        Assignment(0, 0, SUITE, task_ids, seed=1),
        ActorsConfig(envs_per_actor=1, chunk_steps=30),
        ENVIRONMENT,
        writer,
        Weights(make_weights(version=3)),
    )
    while not worker.finished:
        worker.collect_chunk()
    stats = shard.stats()
    assert stats.inserted.tolist() == [120, 120, 120, 120]
    assert stats.episodes.tolist() == [6, 6, 6, 6]
