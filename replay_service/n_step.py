"""n-step windows: drawn rows, each lengthened over the transitions that were stored behind it."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from replay_service.rows import words


def lengthen(
    rows: NDArray,
    stored: NDArray[np.uint32],
    place: tuple[NDArray[np.int64], NDArray[np.int64]],
    size: NDArray[np.int64],
    n_step: int,
    gamma: float,
) -> NDArray[np.float32]:
    """Make windows of up to `n_step` steps of rows, row_dtype[n], in place; return gamma^steps of each, f32[n].

    Row i was drawn from `stored`, the words u32[M, capacity, words of a row] of all tables, at `place`, its table
    i64[n] and slot i64[n], where `size` i64[n] slots are in use. A window goes on to the next slot as long as that row
    begins with the very observation that the window has come to: never beyond the end of an episode, or of what one
    environment has put into a chunk. Its reward is r_0 + gamma r_1 + ...; next_obs and terminated are those of its last
    step.
    """
    table, slot = place
    packed, obs, next_obs = words(rows), _words_of(rows.dtype, "obs"), _words_of(rows.dtype, "next_obs")
    discount, goes_on = np.full(len(rows), gamma), np.ones(len(rows), np.bool_)
    for ahead in range(1, n_step):
        following = (slot + ahead) % stored.shape[1]
        behind = stored[table, following]  # u32[n, words of a row]
        step = behind.view(rows.dtype)[:, 0]
        goes_on &= ~rows["terminated"] & (following < size)
        goes_on &= (behind[:, obs] == packed[:, next_obs]).all(axis=1)
        rows["reward"] += np.where(goes_on, discount * step["reward"], 0.0)
        np.copyto(rows["terminated"], step["terminated"], where=goes_on)
        np.copyto(packed[:, next_obs], behind[:, next_obs], where=goes_on[:, None])
        discount[goes_on] *= gamma
    return discount.astype(np.float32)


def _words_of(dtype: np.dtype, column: Literal["obs", "next_obs"]) -> slice:
    """Return which words of a row hold a column."""
    kind, offset, *_ = (dtype.fields or {})[column]
    return slice(offset // 4, (offset + kind.itemsize) // 4)
