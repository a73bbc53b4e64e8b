"""The tables of a shard: for each of its tasks a ring of transitions with their priorities."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.config import SamplingConfig
from replay_service.n_step import lengthen
from replay_service.priority import START_PRIORITY_DECAY, Values, initial_priority, priority_mass
from replay_service.rows import words
from replay_service.sum_tree import SumTree
from replay_service.table_arrays import TableArrays


class Draw(NamedTuple):
    """n rows drawn from the tables, with probabilities and sizes as they were at the draw."""

    rows: NDArray  # row_dtype[n]
    task_id: NDArray[np.int32]  # i32[n]
    key: NDArray[np.int64]  # i64[n]
    probability: NDArray[np.float64]  # f64[n], P(i) within its table
    table_size: NDArray[np.int64]  # i64[n]
    discount: NDArray[np.float32] | None  # f32[n], gamma^steps; None where all rows are of one step


class TableEmpty(LookupError):  # noqa: N818 - as queue.Empty
    """Rows were asked of a table that holds none."""


class Tables:
    """Rings of `capacity` slots, one per task, drawn from together.

    The c-th transition of a table (from 0) has the key first_key + c and lies in slot c % capacity, so a
    key is live iff it is one of the newest `size` ones: any other is stale, whoever owns its slot by now.
    first_key comes from the clock, so that a key drawn before a loss of the table never names a later row.

    Rows are drawn independently, with replacement, with the probability P(i) of priority.py. Slots in use are
    the first `size` ones of a table.
    """

    def __init__(
        self,
        task_id: NDArray[np.int32],
        sampling: SamplingConfig,
        arrays: TableArrays,
        gamma: float,
    ) -> None:
        """`gamma` discounts the rewards within a row of several steps."""
        self._n_step, self._gamma = sampling.n_step, gamma
        self.task_id = task_id  # i32[M]
        self._rows, self._words, self._priority, self._counter, self._checks = arrays
        num_tables, self.capacity = self._rows.shape
        self.row_dtype = self._rows.dtype
        self._alpha = sampling.priority_exponent
        self._epsilon = sampling.priority_epsilon
        # 16 M inserts per second would catch up with the clock
        clock_key = (int(time.time()) << 24) // self.capacity * self.capacity
        unused = self._counter["first_key"] == 0
        self._counter["first_key"][unused] = max(clock_key, self.capacity)
        self._first_count = self.count.copy()  # i64[M], when this process began with the table
        self._tree = SumTree(num_tables, self.capacity)
        self._rebuild_tree()
        self.sampled_age = np.full(num_tables, np.nan)  # f64[M], mean over the rows of the latest draw

    @property
    def inserted(self) -> NDArray[np.int64]:
        """Transitions ever stored, lost ones included, i64[M]."""
        return self._counter["count"] + self._counter["lost"]

    @property
    def count(self) -> NDArray[np.int64]:
        """Transitions stored since the table was created, i64[M]; a live view."""
        return self._counter["count"]

    @property
    def first_key(self) -> NDArray[np.int64]:
        """The key of the transition with count 0, i64[M]; a live view."""
        return self._counter["first_key"]

    @property
    def max_priority(self) -> NDArray[np.float64]:
        """The greatest priority set, which decays, f64[M]; 0 before the first. A live view."""
        return self._counter["max_priority"]

    @property
    def size(self) -> NDArray[np.int64]:
        """Transitions held now, i64[M]."""
        return np.minimum(self._counter["count"], self.capacity)

    @property
    def sampled(self) -> NDArray[np.int64]:
        """Rows ever drawn, i64[M]."""
        return self._counter["sampled"].copy()

    @property
    def stale_updates(self) -> int:
        """Priorities that were dropped because their transition had been overwritten, all tables together."""
        return int(self._counter["stale"].sum())

    @property
    def priority_mass(self) -> NDArray[np.float64]:
        """The sum of the masses of each table, f64[M]."""
        return self._tree.total.copy()

    def adopt_inserted(self, inserted: NDArray[np.int64]) -> None:
        """Count on from `inserted`, i64[M], which were known to be stored before this process; may be repeated."""
        self._counter["lost"] = np.maximum(self._counter["lost"], inserted - self._first_count)

    def copy_rows(self, table: int, first: int, end: int) -> NDArray:
        """Copy the transitions from count `first` up to `end`, row_dtype[end - first]; they must not wrap."""
        slot = first % self.capacity
        rows = np.empty(end - first, self.row_dtype)
        words(rows)[...] = self._words[table, slot : slot + end - first]
        return rows

    def copy_range(self, table: int, first: int, end: int) -> tuple[NDArray, NDArray[np.float64]]:
        """Copy transitions from count `first` up to `end`, row_dtype[n], and their raw priorities f64[n]."""
        slot = np.arange(first, end) % self.capacity
        rows = np.empty(len(slot), self.row_dtype)
        words(rows)[...] = self._words[table, slot]
        return rows, self._priority[table, slot]

    def note_sampled(self, sampled: NDArray[np.int64]) -> None:
        """Count rows i64[M] that a reader of a copy has drawn."""
        self._counter["sampled"] += sampled

    def copy_priority(self, table: int) -> NDArray[np.float64]:
        """Copy the raw priorities by slot, f64[size]."""
        return self._priority[table, : self.size[table]].copy()

    def copy_counter(self, table: int) -> NDArray:
        """Copy the counters, COUNTER_DTYPE[]."""
        return self._counter[table : table + 1].copy().reshape(())

    def restore(self, table: int, rows: NDArray, priority: NDArray[np.float64], counter: NDArray) -> None:
        """Fill an unused table from a copy, by slot. Keys are new: those in flight may name lost transitions."""
        count, wrap = int(counter["count"]), int(counter["count"]) % self.capacity
        self._words[table, : len(rows)] = words(rows)
        self._priority[table, : len(rows)] = priority
        if self._checks:
            self._checks.write(table, 0, self._words[table, :wrap], count - wrap)
            self._checks.write(table, wrap, self._words[table, wrap : len(rows)], count - self.capacity)
        for name in ("lost", "sampled", "stale", "max_priority"):
            self._counter[name][table] = counter[name]
        self._counter["restored"][table] = count
        # last: a kill before this leaves a table without rows
        self._counter["count"][table] = self._first_count[table] = count
        self._tree.set_range(table, 0, self._mass(priority))

    def put_rows(self, table: int, first: int, packed: NDArray[np.uint32]) -> None:
        """Put transitions, as words, in the places of their counts, from `first` on; they must not wrap."""
        slot = first % self.capacity
        self._words[table, slot : slot + len(packed)] = packed
        if self._checks:
            self._checks.write(table, slot, packed, first)

    def state_dict(self, table: int) -> dict[str, NDArray]:
        """Return all of one table but its transitions, also what is else computed anew, to the last bit."""
        return {
            "counter": self.copy_counter(table),
            "priority": self.copy_priority(table),
            "mass": self._tree.leaves(table, int(self.size[table])),
            "sampled_age": self.sampled_age[table : table + 1].copy(),
        }

    def load_state_dict(self, table: int, state: Mapping[str, NDArray]) -> None:
        """Take over the state of a table, whatever this one holds."""
        used = int(self.size[table])
        self._counter[table] = state["counter"]
        self._first_count[table] = self._counter["count"][table]
        size = len(state["priority"])
        self._priority[table, :size] = state["priority"]
        self._tree.set_range(table, 0, np.zeros(used))
        self._tree.set_range(table, 0, state["mass"])
        self.sampled_age[table] = state["sampled_age"][0]

    def insert(self, table: int, first: int, rows: NDArray) -> None:
        """Store rows, row_dtype[n], as the table's transitions from count `first` on; may be repeated."""
        start, packed = first % self.capacity, words(rows)
        until_wrap = min(len(rows), self.capacity - start)
        self._fill(table, start, packed[:until_wrap], first)
        if until_wrap < len(rows):
            self._fill(table, 0, packed[until_wrap:], first + until_wrap)
        self._counter["count"][table] = first + len(rows)

    def sample(self, quota: NDArray[np.int64], rng: np.random.Generator) -> Draw:
        """Draw quota[j, m] rows of table m for batch j, i64[num_batches, M], in order of batch and table.

        Raises:
            TableEmpty: rows were asked of a table that holds none.
        """
        size, total, per_table = self.size, self._tree.total, quota.sum(axis=0)
        if np.any((per_table > 0) & (size == 0)):
            empty = self.task_id[(per_table > 0) & (size == 0)].tolist()
            raise TableEmpty(
                f"a table must hold rows to be sampled, got none for tasks {empty}; insert first"
            )
        tables = np.arange(quota.shape[1])
        table = np.repeat(np.broadcast_to(tables, quota.shape).ravel(), quota.ravel())
        table_mass, table_size = total[table], size[table]
        slot = self._tree.find(table, rng.random(len(table)) * table_mass)
        np.minimum(slot, table_size - 1, out=slot)  # rounding may point past the rows in use
        self._counter["sampled"] += per_table
        last = self._counter["count"][table] - 1
        age = (last - slot) % self.capacity
        self._note_age(table, age, per_table)
        rows = self._rows.ravel().take(table * self.capacity + slot)
        discount = None
        if self._n_step > 1:
            discount = lengthen(rows, self._words, (table, slot), table_size, self._n_step, self._gamma)
        return Draw(
            rows,
            self.task_id[table],
            self._counter["first_key"][table] + last - age,
            self._tree.get(table, slot) / table_mass,
            table_size,
            discount,
        )

    def update_priorities(
        self, table: NDArray[np.int64], key: NDArray[np.int64], priority: NDArray[np.float64]
    ) -> int:
        """Set the priorities of the named rows; drop and count those of stale keys, and return their number."""
        count = key - self._counter["first_key"][table]
        newest = self._counter["count"][table]
        live = (count >= np.maximum(newest - self.capacity, 0)) & (count < newest)
        stale = len(live) - int(np.count_nonzero(live))
        if stale:
            np.add.at(self._counter["stale"], table[~live], 1)
            table, count, priority = table[live], count[live], priority[live]
        slot = count % self.capacity
        self._note_greatest(table, priority)
        self._priority[table, slot] = priority
        self._tree.set(table, slot, self._mass(priority))
        return stale

    def _fill(self, table: int, start: int, packed: NDArray[np.uint32], first: int) -> None:
        slots = slice(start, start + len(packed))
        priority = np.float64(initial_priority(float(self._counter["max_priority"][table])))
        self._words[table, slots] = packed
        if self._checks:
            self._checks.write(table, start, packed, first)
        self._priority[table, slots] = priority
        self._tree.set_range(table, start, np.full(len(packed), self._mass(priority)))

    def _note_greatest(self, table: NDArray[np.int64], priority: NDArray[np.float64]) -> None:
        greatest, updated = self._counter["max_priority"], np.zeros(len(self.task_id), np.bool_)
        updated[table] = True
        greatest[updated] *= START_PRIORITY_DECAY
        np.maximum.at(greatest, table, priority)

    def _mass(self, priority: Values) -> Values:
        return priority_mass(priority, self._alpha, self._epsilon)

    def _note_age(
        self, table: NDArray[np.int64], age: NDArray[np.int64], per_table: NDArray[np.int64]
    ) -> None:
        drawn = per_table > 0
        total = np.bincount(table, age, len(per_table))
        self.sampled_age[drawn] = total[drawn] / per_table[drawn]

    def _rebuild_tree(self) -> None:
        for table, size in enumerate(self.size):
            self._tree.set_range(table, 0, self._mass(self._priority[table, :size]))
