"""Which chunks count as stored."""

import numpy as np
import pytest

from replay_service.dedup_window import WINDOW, DedupWindow
from replay_service.storage import Storage
from replay_service.types import ChunkId


def store(dedup: DedupWindow, incarnation: int, sequence: int) -> None:
    chunk = ChunkId(3, incarnation, sequence)
    dedup.write(0, 3, dedup.entry_with(0, chunk))


def is_stored(dedup: DedupWindow, incarnation: int, sequence: int) -> bool:
    return dedup.is_stored(0, ChunkId(3, incarnation, sequence))


def test_any_order_within_the_window_is_exact() -> None:
    dedup, rng, done = DedupWindow(1, Storage(None)), np.random.default_rng(0), set()
    for sequence in np.argsort(np.arange(500) + rng.uniform(0, WINDOW / 2, 500)).tolist():
        assert not is_stored(dedup, 0, sequence)
        store(dedup, 0, sequence)
        done.add(sequence)
        for near in range(max(sequence - 20, 0), sequence + 20):
            assert is_stored(dedup, 0, near) == (near in done)


@pytest.mark.parametrize("jump", [WINDOW - 1, WINDOW, WINDOW + 1, 10 * WINDOW])
def test_gaps_of_any_size(jump: int) -> None:
    dedup = DedupWindow(1, Storage(None))
    store(dedup, 0, 0)
    store(dedup, 0, jump)
    assert is_stored(dedup, 0, jump) and is_stored(dedup, 0, 0)
    assert not is_stored(dedup, 0, jump - 1) and not is_stored(dedup, 0, jump + 1)


def test_a_new_incarnation_starts_over_and_supersedes_the_old_one() -> None:
    dedup = DedupWindow(1, Storage(None))
    store(dedup, 0, 5)
    assert not is_stored(dedup, 1, 5)
    store(dedup, 1, 0)
    assert is_stored(dedup, 1, 0) and not is_stored(dedup, 1, 5)
    assert dedup.is_superseded(0, ChunkId(3, 0, 6)) and not dedup.is_superseded(0, ChunkId(3, 1, 1))


def test_a_begun_incarnation_is_new_even_if_the_actor_counts_from_zero_again() -> None:
    dedup = DedupWindow(1, Storage(None))
    first = dedup.begin(0, 3, restarts=0)
    store(dedup, first, 0)
    second = dedup.begin(0, 3, restarts=0)
    assert second > first and not is_stored(dedup, second, 0)
    assert dedup.begin(0, 3, restarts=9) > 9


def test_a_number_is_not_given_again_by_a_shard_that_has_lost_it() -> None:
    """A chunk of the process before may still be on its way, and the new one's would be taken for its retries."""
    before = DedupWindow(1, Storage(None)).begin(0, 3, restarts=0, writer="before")
    dedup = DedupWindow(1, Storage(None))
    number = dedup.begin(0, 3, restarts=1, writer="new")
    assert dedup.is_superseded(0, ChunkId(3, before, WINDOW))
    assert not dedup.is_superseded(0, ChunkId(3, number, 0)) and not is_stored(dedup, number, 0)


def test_actors_and_tables_are_apart() -> None:
    dedup = DedupWindow(2, Storage(None))
    store(dedup, 0, 0)
    assert not dedup.is_stored(1, ChunkId(3, 0, 0)) and not dedup.is_stored(0, ChunkId(2, 0, 0))


def test_a_begin_that_is_repeated_late_ends_nobody() -> None:
    """The writer has its answer from the second call, the first one arrives when it has sent chunks already."""
    dedup = DedupWindow(1, Storage(None))
    number = dedup.begin(0, 3, restarts=4, writer="one")
    store(dedup, number, 0)
    assert dedup.begin(0, 3, restarts=4, writer="one") == number > 4
    assert is_stored(dedup, number, 0) and not dedup.is_superseded(0, ChunkId(3, number, 1))


def test_a_begin_of_a_process_that_died_does_not_end_its_successor() -> None:
    dedup = DedupWindow(1, Storage(None))
    number = dedup.begin(0, 3, restarts=5, writer="successor")
    late = dedup.begin(0, 3, restarts=4, writer="dead")
    assert not dedup.is_superseded(0, ChunkId(3, number, 0))
    assert dedup.is_superseded(0, ChunkId(3, late, 0))
    assert dedup.begin(0, 3, restarts=5, writer="of a run whose record of resumes was lost") == number + 1
