"""The arrays that tables consist of, in memory or in mapped files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.row_checks import RowChecks
from replay_service.rows import row_dtype, words
from replay_service.storage import Storage
from replay_service.types import TransitionSpec

COUNTER_DTYPE = np.dtype(
    [
        ("first_key", "i8"),  # key of the first transition; 0 marks a table that was never used
        ("count", "i8"),  # transitions stored since then
        ("lost", "i8"),  # transitions stored before then, by a process whose content is lost
        ("restored", "i8"),  # count at the restore from a snapshot; 0 without one. For earlier versions
        ("sampled", "i8"),
        ("stale", "i8"),
        ("max_priority", "f8"),  # of new rows: the greatest priority set, which decays; 0 before the first
    ]
)


class TableArrays(NamedTuple):
    """The arrays of M tables of `capacity` slots each."""

    rows: NDArray  # row_dtype[M, capacity]
    words: NDArray[np.uint32]  # u32[M, capacity, words of a row], the same memory
    priority: NDArray[np.float64]  # f64[M, capacity]
    counter: NDArray  # COUNTER_DTYPE[M]
    checks: RowChecks | None  # in files alone: memory is lost as a whole

    @classmethod
    def of(cls, num_tables: int, capacity: int, spec: TransitionSpec, storage: Storage) -> TableArrays:
        """Take the arrays of a storage, or make them."""
        rows = storage.array("transitions", (num_tables, capacity), row_dtype(spec))
        packed = words(rows)
        priority = storage.array("priority", (num_tables, capacity), np.float64)
        counter = storage.array("tables", (num_tables,), COUNTER_DTYPE)
        mapped = storage.is_mapped
        checks = RowChecks(num_tables, capacity, packed.shape[-1], storage) if mapped else None
        return cls(rows, packed, priority, counter, checks)
