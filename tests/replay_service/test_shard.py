"""One shard: what it admits, stores once, refuses and counts."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replay_service.content import ShardContent
from replay_service.journal import Journal
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


def test_retries_in_any_order_are_stored_once(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    """Three actors, each chunk sent three times, shuffled: stored at the first, recognised at the others."""
    rng = np.random.default_rng(0)
    shard = open_shard(make_plan(replay={"capacity_per_task": 1000}))
    chunks = [
        make_chunk(task, 2, seq, actor=actor) for task in (0, 1) for actor in range(3) for seq in range(20)
    ]
    statuses: dict[Any, list[str]] = {}
    for i in rng.permutation(np.repeat(np.arange(len(chunks)), 3)):
        name = (chunks[i].id, int(chunks[i].transitions.task_id[0]))
        statuses.setdefault(name, []).append(shard.insert(chunks[i], 0.0).status)
    assert all(seen == ["stored", "duplicate", "duplicate"] for seen in statuses.values())
    assert total(shard) == [120, 120]
    assert shard.stats().duplicate_chunks == 240


def test_a_superseded_incarnation_is_closed_and_the_newest_keeps_its_chunks(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    shard = open_shard(make_plan())
    assert shard.insert(make_chunk(0, 2, 0, incarnation=1), 0.0).status == "stored"
    assert shard.insert(make_chunk(0, 2, 1, incarnation=0), 0.0).status == "closed"
    assert shard.insert(make_chunk(0, 2, 0, incarnation=1), 0.0).status == "duplicate"
    assert total(shard) == [2, 0]


@pytest.mark.parametrize(
    ("limit", "before", "rows", "status"),
    [
        pytest.param(20, 16, 4, "stored", id="up to the limit"),
        pytest.param(20, 17, 4, "wait", id="past the limit"),
        pytest.param(0, 7, 4, "stored", id="a table below the warm-up is always filled"),
        pytest.param(0, 8, 4, "wait", id="a warm table is not"),
        pytest.param(50, 48, 4, "stored", id="the chunk that crosses the step budget is stored whole"),
        pytest.param(49, 48, 4, "wait", id="the crossing chunk still needs a limit at the budget"),
        pytest.param(ANY, 50, 4, "closed", id="budget used up"),
    ],
)
def test_admission(
    limit: int, before: int, rows: int, status: str, make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    shard = open_shard(make_plan(replay={"capacity_per_task": 64}, total_steps=100))
    shard.insert(make_chunk(0, before, 0), 0.0)
    shard.set_insert_limit(5, limit)
    ack = shard.insert(make_chunk(0, rows, 1), 0.0)
    assert (ack.status, ack.learner_steps) == (status, 5)
    assert total(shard) == [before + rows * (status == "stored"), 0]
    assert total(open_shard(make_plan())) == [0, 0]


def test_before_the_samplers_first_call_the_limit_is_that_of_a_run_without_samples(
    make_plan: MakePlan, make_chunk: MakeChunk
) -> None:
    plan = make_plan()  # warm-up 8 per task, error buffer 48 rows at spi 4: 12 inserts, 6 per task
    shard = Shard(0, plan)
    statuses = [shard.insert(make_chunk(0, 2, i), 0.0).status for i in range(8)]
    assert statuses == ["stored"] * 7 + ["wait"]


def test_a_waiting_insert_goes_on_when_the_limit_rises(make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    shard = open_shard(make_plan(), insert_limit=8)
    shard.insert(make_chunk(0, 8, 0), 0.0)
    statuses: list[str] = []
    waiting = [
        threading.Thread(
            target=lambda i=i: statuses.append(shard.insert(make_chunk(0, 2, 1 + i // 2), 60.0).status)
        )
        for i in range(4)  # two chunks, each with a retry that waits beside it
    ]
    for thread in waiting:
        thread.start()
    time.sleep(0.05)
    assert not statuses and total(shard) == [8, 0]
    shard.set_insert_limit(1, 12)
    for thread in waiting:
        thread.join(5)  # far less than the inserts would wait by themselves
    assert sorted(statuses) == ["duplicate", "duplicate", "stored", "stored"]
    assert total(shard) == [12, 0]


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


def test_mapped_storage_needs_a_directory(make_plan: MakePlan) -> None:
    with pytest.raises(ValueError, match="must have a directory"):
        Shard(0, make_plan(replay={"storage": "mapped"}))


def test_a_reopened_shard_has_everything(tmp_path: Path, make_plan: MakePlan, make_chunk: MakeChunk) -> None:
    plan = make_plan(replay={"storage": "mapped"})
    shard = Shard(0, plan, tmp_path)
    shard.set_insert_limit(0, ANY)
    for task in (0, 1):
        for sequence in range(11):
            shard.insert(make_chunk(task, 4, sequence, first=4 * sequence, episodes=2), 0.0)
    sample = shard.sample(np.array([[8, 8]]), 0, ANY)
    shard.update_priorities(sample.task_id, sample.key, np.linspace(0.1, 9, 16))
    shard.insert(make_chunk(0, 4, 0), 0.0)  # a duplicate
    before = shard.stats()
    shard.close()

    reopened = Shard(0, plan, tmp_path)
    after = reopened.stats()
    np.testing.assert_allclose(after.priority_mass, before.priority_mass, rtol=1e-12)
    for name in ("inserted", "size", "sampled", "episodes", "success_rate", "mean_return"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name), err_msg=name)
    assert (after.stale_updates, after.duplicate_chunks) == (before.stale_updates, before.duplicate_chunks)
    assert (before.incarnation, after.incarnation) == (1, 2)
    assert reopened.insert(make_chunk(0, 4, 10), 0.0).status == "duplicate"
    # the keys of batches drawn before are still good, and the stream of draws does not start over
    assert reopened.update_priorities(sample.task_id, sample.key, np.ones(16)) == 0
    assert reopened.sample(np.array([[8, 8]]), 0, ANY).key.tolist() != sample.key.tolist()


def test_an_insert_cut_short_after_its_commit_is_finished(
    tmp_path: Path, make_plan: MakePlan, make_chunk: MakeChunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop inside the insert, right after the commit and right before the journal is cleared."""
    plan = make_plan(replay={"storage": "mapped"})
    for name in ("_apply", "clear"):
        shard = Shard(0, plan, tmp_path / name)
        shard.set_insert_limit(0, ANY)
        shard.insert(make_chunk(0, 30, 0), 0.0)
        with monkeypatch.context() as patch:
            patch.setattr(ShardContent if name == "_apply" else Journal, name, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                shard.insert(make_chunk(0, 4, 1, first=30, episodes=1), 0.0)
        shard.close()
        reopened = Shard(0, plan, tmp_path / name)
        assert total(reopened) == [34, 0]
        assert reopened.stats().episodes.tolist() == [1, 0]
        assert reopened.insert(make_chunk(0, 4, 1, first=30), 0.0).status == "duplicate"
        serial = reopened.sample(np.array([[2000, 0]]), 0, ANY).rows["obs"][:, 0]
        assert set(serial) == set(range(2, 34))


def test_an_insert_cut_short_in_a_live_process_is_finished_before_the_next(
    tmp_path: Path, make_plan: MakePlan, make_chunk: MakeChunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Shard(0, make_plan(replay={"storage": "mapped"}), tmp_path)
    shard.set_insert_limit(0, ANY)
    with monkeypatch.context() as patch:
        patch.setattr(ShardContent, "_apply", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shard.insert(make_chunk(0, 4, 0), 0.0)
    assert shard.insert(make_chunk(1, 4, 0), 0.0).status == "stored"
    assert total(shard) == [4, 4]


@pytest.mark.parametrize(
    ("replay", "message"),
    [
        ({"capacity_per_task": 64}, "capacity of .* must stay 32, got 64"),
        ({"num_shards": 2}, "num_shards of .* must stay 1"),
    ],
)
def test_another_configuration_on_an_old_directory_is_refused(
    replay: dict[str, int], message: str, tmp_path: Path, make_plan: MakePlan
) -> None:
    Shard(0, make_plan(replay={"storage": "mapped"}), tmp_path).close()
    with pytest.raises(ValueError, match=message):
        Shard(0, make_plan(replay={"storage": "mapped"} | replay), tmp_path)
