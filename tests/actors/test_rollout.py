"""The rollout worker on toy tasks; what it sends is compared with stepping by hand."""

from __future__ import annotations

import numpy as np
import pytest

from actors.assignment import Assignment
from actors.config import ActorsConfig
from actors.environment import build_environment
from actors.policy import NumpyPolicy
from actors.rollout import RolloutWorker
from actors.sync import ActorStats, SyncReply
from replay_service.config import ReplayConfig, SamplingConfig
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.transport import LocalTransport
from replay_service.types import TransitionSpec
from replay_service.writer import ReplayWriter
from tests.actors.conftest import MakeWeights
from tests.actors.recorded_worker import ENVIRONMENT, SUITE, NewWeights, worker_of


def test_chunks_hold_what_stepping_by_hand_gives() -> None:
    worker, writer = worker_of(NewWeights())
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


@pytest.mark.parametrize(("training_horizon", "lengths"), [(10, [10, 10, 10]), (50, [20])])
def test_training_episodes_have_a_horizon_of_their_own_up_to_the_tasks(
    training_horizon: int, lengths: list[int]
) -> None:
    """The final observation of a cut episode is that of its last step, and nothing is terminated."""
    worker, writer = worker_of(NewWeights(), (0,), training_horizon=training_horizon)
    worker.collect_chunk()
    (chunk,) = writer.chunks
    assert [episode.length for episode in chunk.episodes] == lengths
    first = lengths[0]
    assert not chunk.transitions.terminated.any()
    assert not np.array_equal(chunk.transitions.next_obs[first - 1], chunk.transitions.obs[first])


def test_random_actions_until_the_first_update_then_the_policys(make_weights: MakeWeights) -> None:
    weights = NewWeights(make_weights(version=0), make_weights(version=7))
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
    worker, writer = worker_of(NewWeights(make_weights(version=0)), warmup_actions="policy")
    worker.collect_chunk()
    first = writer.chunks[0].transitions
    rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(9001, 0, 0)))
    obs = np.stack([chunk.transitions.obs[0] for chunk in writer.chunks])
    policy = NumpyPolicy(make_weights(version=0), (0, 1), SUITE.obs_dim)
    np.testing.assert_array_equal(first.action[0], policy.act(obs, *policy.draw_noise(rng, 1))[0])


def test_only_tasks_that_the_limiter_lets_go_on_are_stepped(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(NewWeights(make_weights(version=3)))
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
    worker, writer = worker_of(NewWeights())
    writer.open_tasks = [1]
    assert worker.collect_chunk() == 1
    assert not worker.finished
    writer.open_tasks = []
    assert worker.collect_chunk() == 0
    assert worker.finished


def test_an_actor_waits_for_the_limiter_as_long_as_between_two_heartbeats() -> None:
    """And acts until its tasks are closed, of which it hears while it waits."""

    def sync(stats: ActorStats) -> SyncReply:
        if len(writer.timeouts_s) == 2:
            writer.open_tasks = []
        return SyncReply()

    worker, writer = worker_of(sync, weights_poll_s=1e-9)
    writer.waiting_tasks = {0, 1}
    worker.run()
    assert writer.timeouts_s == [1e-9] * 3 and worker.finished


def test_several_environments_of_a_task_share_its_chunks(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(NewWeights(make_weights(version=3)), (1, 2), envs_per_actor=6)
    assert worker.collect_chunk() == 2
    first, second = writer.chunks
    assert first.transitions.task_id.tolist() == [1] * 30
    assert second.transitions.task_id.tolist() == [2] * 30
    starts = [0, 10, 20]  # three environments per task, ten rows each
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
    worker, _ = worker_of(NewWeights(), task_ids, envs_per_actor=envs_per_actor)
    runners = [runner["rng"] for runner in worker.state_dict()["runners"]]
    assert len(runners) == sum(expected.values())
    assert {task: len(runners) for task, runners in worker._runners.items()} == expected


@pytest.mark.parametrize(("chunk_steps", "rows"), [(30, [7, 7, 8, 8]), (3, [1, 1, 1])])
def test_a_chunk_has_its_steps_however_many_environments_share_it(
    make_weights: MakeWeights, chunk_steps: int, rows: list[int]
) -> None:
    weights = NewWeights(make_weights(version=3))
    worker, writer = worker_of(weights, (1,), envs_per_actor=4, chunk_steps=chunk_steps)
    assert [runner.missing_steps for runner in worker._runners[1]] == rows
    worker.collect_chunk()
    worker.collect_chunk()
    assert [len(chunk.transitions.reward) for chunk in writer.chunks] == [chunk_steps] * 2


def actions_of(incarnation: int) -> np.ndarray:
    worker, writer = worker_of(NewWeights(), incarnation=incarnation)
    worker.collect_chunk()
    return np.stack([chunk.transitions.action for chunk in writer.chunks])


def test_the_same_seed_gives_the_same_chunks_and_a_restarted_actor_others() -> None:
    np.testing.assert_array_equal(actions_of(0), actions_of(0))
    assert not np.array_equal(actions_of(0), actions_of(1))


def test_a_state_gives_random_streams_and_counters_back(make_weights: MakeWeights) -> None:
    worker, writer = worker_of(NewWeights(make_weights()))
    worker.collect_chunk()
    state = worker.state_dict()
    chunks = []
    for _ in range(2):
        other, other_writer = worker_of(NewWeights(make_weights()), incarnation=1)
        other.load_state_dict(state)
        assert (other.stats().env_steps, other.stats().ended_episodes) == (60, 2)
        other.collect_chunk()
        chunks.append(other_writer.chunks[0].transitions)
    np.testing.assert_array_equal(chunks[0].action, chunks[1].action)
    np.testing.assert_array_equal(chunks[0].obs, chunks[1].obs)
    assert not np.array_equal(chunks[0].action, writer.chunks[0].transitions.action)


def test_stats(make_weights: MakeWeights) -> None:
    worker, _ = worker_of(NewWeights(make_weights(version=2)))
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
        gamma=0.99,
    )
    shard = Shard(0, plan)
    task_ids = (0, 1, 2, 3)
    writer = ReplayWriter(plan, LocalTransport([shard]), 0, 0, task_ids)
    worker = RolloutWorker(
        Assignment(0, 0, SUITE, task_ids, seed=1),
        ActorsConfig(envs_per_actor=1, chunk_steps=30),
        ENVIRONMENT,
        writer,
        NewWeights(make_weights(version=3)),
    )
    while not worker.finished:
        worker.collect_chunk()
    stats = shard.stats()
    assert stats.inserted.tolist() == [120, 120, 120, 120]
    assert stats.episodes.tolist() == [6, 6, 6, 6]
