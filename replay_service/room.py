"""The room on the disk that the mapped files of all shards take."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from replay_service.dedup_window import ENTRY_DTYPE, MAX_ACTORS
from replay_service.episode_history import EPISODE_DTYPE, HISTORY
from replay_service.plan import ReplayPlan
from replay_service.rows import row_dtype
from replay_service.table_arrays import COUNTER_DTYPE

_OF_A_FILE = 4096 + 256  # what a file system rounds up to, and the header
_FILES_OF_A_SHARD = 15


def mapped_bytes(plan: ReplayPlan) -> int:
    """Compute the size of the files of all shards, bytes."""
    row, capacity = row_dtype(plan.spec).itemsize, plan.replay.capacity_per_task
    slot = (
        row + np.dtype(np.float64).itemsize + np.dtype(np.uint64).itemsize
    )  # with its priority and its check
    table = MAX_ACTORS * ENTRY_DTYPE.itemsize + HISTORY * EPISODE_DTYPE.itemsize + COUNTER_DTYPE.itemsize
    shard = capacity * row + _FILES_OF_A_SHARD * _OF_A_FILE  # its journal
    return plan.num_tasks * (capacity * slot + table) + plan.num_shards * shard


def check_room(directory: Path, plan: ReplayPlan) -> None:
    """Refuse files that do not fit on the disk of a directory, which need not be there yet; nothing is taken.

    Raises:
        ValueError: they do not fit.
    """
    if plan.replay.storage == "memory":
        return
    place = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    taken = sum(path.stat().st_blocks * 512 for path in directory.glob("shard-*/*.npy"))
    roundings = (
        plan.num_shards * _FILES_OF_A_SHARD * _OF_A_FILE
    )  # which files that are there may not have needed
    needed, free = mapped_bytes(plan) - roundings - taken, shutil.disk_usage(place).free
    if needed > free:
        raise ValueError(
            f"replay files must fit on the disk, got {needed / 1e9:.2g} GB for {plan.num_shards} shards in "
            f"{directory} with {free / 1e9:.2g} GB free; lower replay.capacity_per_task (now "
            f"{plan.replay.capacity_per_task}), free some room, or use replay.storage=memory"
        )
