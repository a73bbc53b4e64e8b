"""One shard: what it refuses, draws and counts."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import Chunk, EpisodeEnd

MakePlan = Callable[..., ReplayPlan]
MakeChunk = Callable[..., Chunk]
ANY = 10**9  # an insert limit that admits everything


def open_shard(plan: ReplayPlan, insert_limit: int = ANY) -> Shard:
    shard = Shard(0, plan)
    shard.set_insert_limit(0, insert_limit)
    return shard


def total(shard: Shard) -> list[int]:
    return shard.stats().inserted.tolist()


def spoil(chunk: Chunk, column: str, value: Any) -> Chunk:
    return chunk._replace(transitions=chunk.transitions._replace(**{column: value}))


def with_value(chunk: Chunk, column: str, value: float) -> Chunk:
    array = getattr(chunk.transitions, column).copy()
    array[-1] = value
    return spoil(chunk, column, array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: with_value(c, "obs", np.nan),
            r"actor 0, task 1: obs must be finite, got \[nan.* in row 2",
        ),
        (
            lambda c: with_value(c, "reward", np.inf),
            "actor 0, task 1: reward must be finite, got inf in row 2",
        ),
        (lambda c: with_value(c, "action", -np.inf), "actor 0, task 1: action must be finite"),
        (lambda c: with_value(c, "next_obs", np.nan), "actor 0, task 1: next_obs must be finite"),
        (
            lambda c: spoil(c, "obs", np.zeros((3, 4), np.float32)),
            r"obs must be float32\[3, 5\], got float32\[3, 4\]",
        ),
        (
            lambda c: spoil(c, "reward", np.zeros(2, np.float32)),
            r"reward must be float32\[3\], got float32\[2\]",
        ),
        (lambda c: spoil(c, "action", np.zeros((3, 2))), r"action must be float32\[3, 2\], got float64"),
        (lambda c: spoil(c, "terminated", np.zeros(3, np.int8)), r"terminated must be bool\[3\], got int8"),
        (
            lambda c: spoil(c, "task_id", np.full(3, 1)),
            r"actor 0, task 1: task_id must be int32\[3\], got int64",
        ),
        (lambda c: spoil(c, "task_id", np.int32(1)), "actor 0, task unknown: task_id must be"),
        (
            lambda c: spoil(c, "task_id", np.array([1, 0, 1], np.int32)),
            r"must hold one task, got tasks \[0, 1\]",
        ),
        (lambda c: spoil(c, "task_id", np.full(3, 7, np.int32)), r"actor 0, task 7: shard 0 must be sent"),
        (lambda c: c._replace(id=c.id._replace(actor=-1)), "actor -1: chunk ids must have 0 <= actor"),
        (lambda c: c._replace(id=c.id._replace(sequence=-1)), "sequence >= 0"),
        (
            lambda c: c._replace(episodes=(EpisodeEnd(0, 1.0, 5, True, 0),)),
            "an episode must be of the chunk's task",
        ),
        (lambda c: c._replace(episodes=(EpisodeEnd(1, np.nan, 5, True, 0),)), "finite return"),
    ],
)
def test_a_malformed_chunk_is_refused_by_name_and_nothing_of_it_is_stored(
    change: Callable[[Chunk], Chunk], message: str, make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    shard = open_shard(make_plan())
    with pytest.raises(ValueError, match=message):
        shard.insert(change(make_chunk(1, 3)), 0.0)
    stats = shard.stats()
    assert stats.inserted.tolist() == stats.size.tolist() == stats.episodes.tolist() == [0, 0]
    assert stats.priority_mass.tolist() == [0, 0]
    assert shard.insert(make_chunk(1, 3), 0.0).status == "stored"  # its id is not used up either


@pytest.mark.parametrize("rows", [0, 33])
def test_chunks_without_rows_or_larger_than_the_table_are_refused(
    rows: int, make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    with pytest.raises(ValueError, match=f"1 to 32 rows, the capacity of the table, got {rows}"):
        open_shard(make_plan()).insert(make_chunk(1, rows), 0.0)


def test_concurrent_inserts_samples_and_updates_keep_every_count(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    shard = open_shard(make_plan(replay={"capacity_per_task": 50}))
    for task in (0, 1):
        shard.insert(make_chunk(task, 20, 0, actor=9), 0.0)
    stale, draws = [0], 200

    def act(actor: int) -> None:
        for sequence in range(200):
            shard.insert(make_chunk(actor % 2, 3, sequence, first=sequence, actor=actor), 5.0)

    def learn() -> None:
        quota = np.array([[3, 5], [4, 4]])
        for step in range(draws):
            sample = shard.sample(quota, step, ANY)
            np.testing.assert_array_equal(sample.rows["obs"][:, 0], -sample.rows["next_obs"][:, 0])
            stale[0] += shard.update_priorities(sample.task_id, sample.key, np.ones(16))

    threads = [threading.Thread(target=act, args=(actor,)) for actor in range(4)] + [
        threading.Thread(target=learn)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    stats = shard.stats()
    assert stats.inserted.tolist() == [20 + 2 * 600] * 2
    assert stats.sampled.tolist() == [draws * 7, draws * 9]
    assert stats.stale_updates == stale[0]


def test_a_sample_holds_the_counters(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    shard = open_shard(make_plan())
    shard.set_insert_limit(30, ANY)
    shard.insert(make_chunk(0, 4, 0, episodes=3), 0.0)  # successes 1, 0, 1; returns 0, 1, 2
    shard.insert(make_chunk(1, 6, 0)._replace(weights_version=20), 0.0)
    sample = shard.sample(np.array([[2, 1], [1, 1]]), 31, ANY)
    stats = sample.stats
    assert sample.task_id.tolist() == [0, 0, 1, 0, 1]
    assert sample.table_size.tolist() == [4, 4, 6, 4, 6]
    assert stats.size.tolist() == [4, 6] and stats.sampled.tolist() == [3, 2]
    assert stats.episodes.tolist() == [3, 0]
    np.testing.assert_allclose(stats.success_rate, [2 / 3, np.nan])
    np.testing.assert_allclose(stats.mean_return, [1.0, np.nan])
    assert (stats.policy_lag_mean, stats.policy_lag_max) == (20.0, 30.0)
    assert stats.learner_steps == 31


def test_the_age_of_a_draw_counts_the_transitions_stored_since(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    shard = open_shard(make_plan())
    assert np.isnan(shard.stats().sampled_age).all()
    for sequence in range(10):
        shard.insert(make_chunk(0, 4, sequence, first=4 * sequence), 0.0)  # 40 rows in 32 slots
    sample = shard.sample(np.array([[50, 0], [50, 0]]), 0, ANY)
    age = 39 - sample.rows["obs"][:, 0]
    np.testing.assert_allclose(sample.stats.sampled_age, [age.mean(), np.nan])


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_bad_priorities_are_refused_by_name_and_change_nothing(
    value: float, make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    shard = open_shard(make_plan())
    shard.insert(make_chunk(1, 4), 0.0)
    sample = shard.sample(np.array([[0, 3]]), 0, ANY)
    mass = shard.stats().priority_mass
    with pytest.raises(ValueError, match=r"task 1: a priority must be finite .* \(1 of 3 rows\)"):
        shard.update_priorities(sample.task_id, sample.key, np.array([5.0, value, 5.0]))
    np.testing.assert_array_equal(shard.stats().priority_mass, mass)


@pytest.mark.parametrize("task", [2, 4, 1000, -1])
def test_priorities_of_another_shards_task_or_of_none_are_refused(task: int, make_plan: MakePlan) -> None:
    shard = Shard(1, make_plan(4, {"num_shards": 2}))
    with pytest.raises(ValueError, match=rf"shard 1 must be asked for its tasks \[1, 3\], got task {task}"):
        shard.update_priorities(np.array([1, task], np.int32), np.zeros(2, np.int64), np.ones(2))
