"""The opening of a shard whose files are there already: everything is back, and another shape is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from replay_service.content import ShardContent
from replay_service.journal import Journal
from replay_service.plan import ReplayPlan
from replay_service.shard import Shard
from replay_service.types import Chunk
from tests.replay_service.test_shard import ANY, total

MakePlan = Callable[..., ReplayPlan]
MakeChunk = Callable[..., Chunk]


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
