"""The episode history: the newest training episodes of each task, and the success rates over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from replay_service.storage import Storage
from replay_service.types import EpisodeEnd

HISTORY = 128  # the greatest window that can be configured
UNKNOWN_SUCCESS = -1  # of an episode without a success flag
EPISODE_DTYPE = np.dtype([("return_", "f8"), ("length", "i8"), ("success", "i8"), ("weights_version", "i8")])


class EpisodeHistory:
    """Rings of the newest HISTORY episodes of M tasks; rates are over the newest `window` of them."""

    def __init__(self, num_tables: int, window: int, storage: Storage) -> None:
        self._window = window
        self._episode = storage.array("episodes", (num_tables, HISTORY), EPISODE_DTYPE)
        self._count = storage.array("episode_counts", (num_tables,), np.int64)
        self.success_rate = np.full(num_tables, np.nan)  # f64[M], nan where no episode has a flag
        self.mean_return = np.full(num_tables, np.nan)  # f64[M]
        for table in range(num_tables):
            if not self._is_possible(table):
                self._count[table] = 0  # a page was lost with the kernel that was to write it
            self._refresh(table)

    @property
    def count(self) -> NDArray[np.int64]:
        """Episodes ever finished, i64[M]; a live view."""
        return self._count

    def write(self, table: int, count: int, newest: NDArray) -> None:
        """Make `newest` the last of `count` episodes; may be repeated."""
        if len(newest):
            self._episode[table, np.arange(count - len(newest), count) % HISTORY] = newest
            self._count[table] = count
            self._refresh(table)

    def copy_ring(self, table: int) -> NDArray:
        """Copy the newest episodes, EPISODE_DTYPE[HISTORY]; the c-th ever is at c % HISTORY."""
        return self._episode[table].copy()

    def restore(self, table: int, count: int, ring: NDArray) -> None:
        """Fill a ring from a copied one, whatever it holds."""
        self._count[table] = 0
        self.success_rate[table] = self.mean_return[table] = np.nan
        self.write(table, count, ring[np.arange(max(count - HISTORY, 0), count) % HISTORY])

    def _is_possible(self, table: int) -> bool:
        ring = self._episode[table, : max(self._count[table], 0)]
        is_known = np.isin(ring["success"], (UNKNOWN_SUCCESS, 0, 1)) & np.isfinite(ring["return_"])
        return bool(self._count[table] >= 0 and (ring["length"] > 0).all() and is_known.all())

    def _refresh(self, table: int) -> None:
        count = int(self._count[table])
        if count:
            newest = self._episode[table, np.arange(max(count - self._window, 0), count) % HISTORY]
            known = newest["success"][newest["success"] != UNKNOWN_SUCCESS]
            self.success_rate[table] = known.mean() if len(known) else np.nan
            self.mean_return[table] = newest["return_"].mean()


def pack_episodes(episodes: Sequence[EpisodeEnd]) -> NDArray:
    """Pack the newest HISTORY of these episodes into records of EPISODE_DTYPE."""
    return np.array([_record(end) for end in episodes[-HISTORY:]], EPISODE_DTYPE)


def _record(end: EpisodeEnd) -> tuple[float, int, int, int]:
    success = UNKNOWN_SUCCESS if end.success is None else int(end.success)
    return end.return_, end.length, success, end.weights_version
