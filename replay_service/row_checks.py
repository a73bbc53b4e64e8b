"""Row checks: a hash beside each row in a file, which tells whether the row is whole and which one it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replay_service.storage import Storage

_BLOCK_ROWS = 4096
_COUNT_FACTOR = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_INVERSE = np.uint64(pow(_COUNT_FACTOR, -1, 1 << 64))
_LARGEST_COUNT = np.uint64(1 << 48)


class RowChecks:
    """A check of each row of M rings, u64: h(words of the row) + (count + 1) * an odd constant, modulo 2^64.

    h is a sum of the words times random odd numbers. A row that is torn, or lies beside the check of another one,
    gives a count that is no possible one of its slot, but for one in 10^10 such rows.
    """

    def __init__(self, num_tables: int, capacity: int, num_words: int, storage: Storage) -> None:
        self._capacity = capacity
        self._check = storage.array("row_checks", (num_tables, capacity), np.uint64)  # u64[M, capacity]
        random = np.random.default_rng(0).integers(1 << 63, size=num_words // 2 + 1, dtype=np.uint64)
        self._factor = 2 * random + np.uint64(1)

    def write(self, table: int, start: int, words: NDArray[np.uint32], first: int) -> None:
        """Set the checks of rows from slot `start` on, of which `first` is the first one's count."""
        if not len(words):
            return
        count = np.arange(first + 1, first + 1 + len(words), dtype=np.uint64)
        self._check[table, start : start + len(words)] = self._hash(words) + count * np.uint64(_COUNT_FACTOR)

    def counts(self, table: int, words: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the count of the row in each slot, i64[capacity]; -1 where there is no whole one."""
        counts = np.empty(len(words), np.int64)
        for start in range(0, len(words), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            found = (self._check[table, block] - self._hash(words[block])) * _INVERSE - np.uint64(1)
            slot = np.arange(start, start + len(found), dtype=np.uint64)
            possible = (found < _LARGEST_COUNT) & (found % np.uint64(self._capacity) == slot)
            counts[block] = np.where(possible, found, 0).astype(np.int64) - ~possible
        return counts

    def clear(self, table: int, start: int) -> None:
        """Forget the rows from slot `start` on."""
        self._check[table, start:] = 0

    def _hash(self, words: NDArray[np.uint32]) -> NDArray[np.uint64]:
        pairs = words[:, : words.shape[1] // 2 * 2].view(np.uint64)  # half as many products
        hashed = pairs @ self._factor[:-1]
        if words.shape[1] % 2:
            hashed = hashed + words[:, -1] * self._factor[-1]
        return hashed
