"""Windows of several steps: against a plain walk over the stored rows, and where they must end."""

from __future__ import annotations

import numpy as np
import pytest

from replay_service.config import SamplingConfig
from replay_service.n_step import lengthen
from replay_service.rows import pack, row_dtype, words
from replay_service.storage import Storage
from replay_service.table import Tables
from replay_service.table_arrays import TableArrays
from replay_service.types import TransitionBatch, TransitionSpec

SPEC = TransitionSpec(1, 2, 1)
GAMMA = 0.9


def episodes(lengths: list[int], terminated: bool = False) -> TransitionBatch:
    """Episodes in a row: step k of episode e goes from (e, k) to (e, k + 1) and earns 10 e + k."""
    of = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(length) for length in lengths])
    is_last = step + 1 == np.array(lengths)[of]
    obs = np.stack([of, step], axis=1).astype(np.float32)
    rows = len(of)
    action, task_id = np.zeros((rows, 1), np.float32), np.zeros(rows, np.int32)
    next_obs = obs + np.array([0, 1], np.float32)
    return TransitionBatch(
        obs, action, (10 * of + step).astype("f4"), next_obs, is_last & terminated, task_id
    )


def tables(capacity: int, n_step: int) -> Tables:
    arrays = TableArrays.of(1, capacity, SPEC, Storage(None))
    return Tables(np.zeros(1, np.int32), SamplingConfig(n_step=n_step), arrays, GAMMA)


def windows(
    stored: TransitionBatch, slots: list[int], n_step: int, size: int | None = None, shift: int = 0
) -> tuple:
    """The rows of these slots as windows, and their discounts; `shift` is the slot of the oldest row."""
    rows = np.roll(pack(stored, row_dtype(SPEC)), shift)
    slot = np.array(slots)
    place, sizes = (np.zeros_like(slot), slot), np.full(len(slot), size or len(rows))
    drawn = rows[slot]
    discount = lengthen(drawn, words(rows)[None], place, sizes, n_step, GAMMA)
    return drawn, discount


@pytest.mark.parametrize("n_step", [2, 3, 5])
def test_a_window_is_a_walk_to_the_end_of_the_episode(n_step: int) -> None:
    stored = episodes([7, 1, 4])
    drawn, discount = windows(stored, list(range(12)), n_step)
    for row in range(12):
        episode, step = stored.obs[row].astype(int)
        steps = min(n_step, [7, 1, 4][episode] - step)
        rewards = stored.reward[row : row + steps]
        assert drawn["reward"][row] == pytest.approx((GAMMA ** np.arange(steps)) @ rewards, rel=1e-6)
        assert drawn["next_obs"][row].tolist() == [episode, step + steps]
        assert discount[row] == pytest.approx(GAMMA**steps, rel=1e-6)
        assert drawn["obs"][row].tolist() == [episode, step]  # what is learned of stays


def test_a_terminal_step_ends_a_window_also_where_the_next_episode_begins_there() -> None:
    stored = episodes([2, 3], terminated=True)
    stored.obs[2], stored.next_obs[1] = (5, 5), (5, 5)
    drawn, discount = windows(stored, [0, 1], 3)
    assert drawn["reward"].tolist() == pytest.approx([0 + GAMMA * 1, 1])
    assert drawn["terminated"].tolist() == [True, True]
    assert discount.tolist() == pytest.approx([GAMMA**2, GAMMA])


def test_a_window_wraps_with_the_ring_and_reads_no_slot_that_is_not_in_use() -> None:
    ring = episodes([6])
    drawn, _ = windows(ring, [5, 1], 4, shift=2)
    assert drawn["next_obs"][:, 1].tolist() == [6, 6]  # steps 3 and 5: over the end; none behind the newest
    drawn, discount = windows(ring, [2], 3, size=4)
    assert drawn["next_obs"][0].tolist() == [0, 4] and discount[0] == pytest.approx(GAMMA**2)


def test_draws_are_of_windows_and_without_them_nothing_changes() -> None:
    draws = {}
    for n_step in (1, 3):
        table = tables(16, n_step)
        table.insert(0, 0, pack(episodes([16]), row_dtype(SPEC)))
        draws[n_step] = table.sample(np.array([[64]]), np.random.default_rng(0))
    assert draws[1].discount is None
    np.testing.assert_array_equal(draws[1].rows["next_obs"][:, 1], draws[1].rows["obs"][:, 1] + 1)
    ends = np.minimum(draws[3].rows["obs"][:, 1] + 3, 16)
    np.testing.assert_array_equal(draws[3].rows["next_obs"][:, 1], ends)
    np.testing.assert_array_equal(draws[3].key, draws[1].key)  # priorities are those of the first step
    again = tables(16, 3)
    again.insert(0, 0, pack(episodes([16]), row_dtype(SPEC)))
    again.sample(np.array([[64]]), np.random.default_rng(0))
    np.testing.assert_array_equal(again.copy_rows(0, 0, 16)["reward"], np.arange(16))  # what is stored stays
