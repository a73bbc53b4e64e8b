"""The replay mirrored on the learner's device: rows, priorities and draws, slot for slot as the shards hold them.

    P(i) and w_i as in replay_service/priority.py; the quotas of the tasks are given.

A row that a batch holds twice keeps the greater of its new priorities: a GPU does not say which write comes last.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learner.batch import TensorBatch
from learner.device_sum_tree import DeviceSumTree
from replay_service.config import SamplingConfig
from replay_service.priority import FIRST_PRIORITY, START_PRIORITY_DECAY
from replay_service.rows import row_dtype, words
from replay_service.types import TransitionSpec


class MirrorDraw(NamedTuple):
    """A batch, and the slots that its rows lie in."""

    batch: TensorBatch
    table: Tensor  # i64[B]
    slot: Tensor  # i64[B]


class ReplayMirror:
    """Tables of all tasks in preallocated columns. Nothing in `draw` and `set_priorities` waits for the device."""

    def __init__(
        self,
        spec: TransitionSpec,
        capacity: int,
        sampling: SamplingConfig,
        updates_per_decay: int,
        device: torch.device,
        seed: int,
        gamma: float,
    ) -> None:
        """`updates_per_decay`: updates whose priorities shards would take in one call, as their decay is per call."""
        self.capacity, self._sampling, self._device = capacity, sampling, device
        self._gamma = gamma  # within rows of several steps
        self._batch_size = sampling.batch_size_per_task * spec.num_tasks
        self._dtype = row_dtype(spec)
        width = self._dtype.itemsize // 4
        tables = spec.num_tasks
        self._words = torch.zeros(tables * capacity, width, dtype=torch.int32, device=device)
        self._priority = torch.zeros(tables * capacity, dtype=torch.float64, device=device)
        self._touched = torch.zeros(tables * capacity, dtype=torch.bool, device=device)
        self._tree = DeviceSumTree(tables, capacity, device)
        self._size = torch.zeros(tables, dtype=torch.int64, device=device)
        self._greatest = torch.zeros(
            tables, dtype=torch.float64, device=device
        )  # 0 before the first priority
        self._decay = START_PRIORITY_DECAY ** (1 / updates_per_decay)
        self.generator = torch.Generator(device).manual_seed(seed)

    def insert(
        self,
        table: NDArray[np.int64],
        slot: NDArray[np.int64],
        rows: NDArray,
        priority: NDArray[np.float64],
    ) -> None:
        """Store rows, row_dtype[n], no slot twice; a priority of nan is that of a new row."""
        tables, slots = self._on_device(table), self._on_device(slot)
        place = tables * self.capacity + slots
        self._words[place] = self._on_device(words(rows).view(np.int32))
        given, greatest = self._on_device(priority), self._greatest[tables]
        of_new_rows = torch.where(greatest > 0, greatest, FIRST_PRIORITY)
        values = torch.where(given.isnan(), of_new_rows, given)
        self._priority[place] = values
        self._touched[place] = False
        self._tree.set(tables, slots, self._mass(values))

    def set_sizes(self, size: NDArray[np.int64]) -> None:
        """Set how many slots of each table are in use, i64[T]."""
        self._size.copy_(self._on_device(size))

    def raise_greatest(self, greatest: NDArray[np.float64]) -> None:
        """Take over the greatest priorities that shards know of, f64[T], where they are above those known here."""
        torch.maximum(self._greatest, self._on_device(greatest), out=self._greatest)

    def clear(self, table: int) -> None:
        """Forget a table, whose shard has lost it."""
        self._tree.clear(table)
        self._size[table] = 0
        self._touched.view(-1, self.capacity)[table] = False

    def draw(self, quota: Tensor, is_exponent: Tensor) -> MirrorDraw:
        """Draw quota[tau] rows of every task, i64[T]; they sum to the batch. `is_exponent` is beta, f64[]."""
        rows = torch.arange(self._batch_size, device=self._device)
        table = torch.searchsorted(quota.cumsum(0), rows, right=True)
        random = torch.rand(
            self._batch_size, dtype=torch.float64, generator=self.generator, device=self._device
        )
        total, size = self._tree.total(table), self._size[table]
        # rounding may point past the rows in use
        slot = torch.minimum(self._tree.find(table, random * total), size - 1)
        probability = self._tree.get(table, slot) / total
        weight = (size * probability) ** -is_exponent
        columns, discount = self._rows_at(table, slot, size)
        batch = TensorBatch(
            *(columns[name] for name in TensorBatch._fields[:5]),  # pyright: ignore[reportCallIssue]
            task_id=table,
            is_weight=(weight / weight.mean()).float(),
            group_sizes=quota,
            sampled=None,
            discount=discount,
        )
        return MirrorDraw(batch, table, slot)

    def set_priorities(self, draw: MirrorDraw, priority: Tensor) -> None:
        """Set the new priorities (|td_error|) f32[B] of drawn rows; one that is not finite leaves all as they were.

        The learner's guard finds the same number, and raises when it is read.
        """
        place = draw.table * self.capacity + draw.slot
        is_finite = priority.isfinite().all()
        value = torch.where(is_finite, priority.double(), self._priority[place])
        self._priority.index_fill_(0, place, 0.0).scatter_reduce_(0, place, value, "amax")
        self._touched.index_fill_(0, place, True)
        self._note_greatest(draw.table, value)
        self._tree.set(draw.table, draw.slot, self._mass(self._priority[place]))

    def take_touched(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return table, slot and priority of every row set since the last call; waits for the device."""
        place = self._touched.nonzero().squeeze(1)
        priority = self._priority[place].cpu().numpy()
        self._touched.zero_()
        table, slot = np.divmod(place.cpu().numpy(), self.capacity)
        return table, slot, priority

    def _note_greatest(self, table: Tensor, priority: Tensor) -> None:
        none = torch.zeros_like(self._greatest)
        drawn = none.scatter_reduce(0, table, torch.ones_like(priority), "amax") > 0
        newest = none.scatter_reduce(0, table, priority, "amax")
        self._greatest.mul_(torch.where(drawn, self._decay, 1.0))
        torch.maximum(self._greatest, newest, out=self._greatest)

    def _mass(self, priority: Tensor) -> Tensor:
        return (priority + self._sampling.priority_epsilon) ** self._sampling.priority_exponent

    def _rows_at(self, table: Tensor, slot: Tensor, size: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return the columns of drawn rows and gamma^steps of each, windows as replay_service/n_step.py makes them."""
        rows = self._columns(self._words.index_select(0, table * self.capacity + slot))
        if self._sampling.n_step == 1:
            return rows, None
        discount = torch.full_like(rows["reward"], self._gamma)
        going = torch.ones_like(rows["terminated"])
        for ahead in range(1, self._sampling.n_step):
            following = (slot + ahead) % self.capacity
            after = self._columns(self._words.index_select(0, table * self.capacity + following))
            is_next = (after["obs"] == rows["next_obs"]).all(dim=1)
            going = going & is_next & ~rows["terminated"] & (following < size)
            rows["reward"] = rows["reward"] + torch.where(going, discount * after["reward"], 0.0)
            rows["next_obs"] = torch.where(going[:, None], after["next_obs"], rows["next_obs"])
            rows["terminated"] = torch.where(going, after["terminated"], rows["terminated"])
            discount = torch.where(going, discount * self._gamma, discount)
        return rows, discount

    def _columns(self, packed: Tensor) -> dict[str, Tensor]:
        """Return the columns of packed rows i32[B, words] by name."""
        columns = {}
        for name, (dtype, offset, *_) in (self._dtype.fields or {}).items():
            first, width = offset // 4, -(-dtype.itemsize // 4)
            own = packed[:, first : first + width]
            # a flag is the first byte of its word, which is the lowest one on all that torch runs on
            column = (own & 0xFF) != 0 if dtype.base == np.bool_ else own.view(torch.float32)
            columns[name] = column if dtype.shape else column.squeeze(1)
        return columns

    def _on_device(self, array: NDArray) -> Tensor:
        """Start the copy of an array, through pinned memory to a GPU."""
        host = torch.from_numpy(np.array(array))  # a copy: arrays from an object store are read-only
        return host.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else host
