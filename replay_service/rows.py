"""Rows: transitions as packed records, so that to store, draw or send one moves one piece of memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from replay_service.types import TransitionBatch, TransitionSpec


def row_dtype(spec: TransitionSpec) -> np.dtype:
    """Return the record of one transition, padded to whole words; its table implies the task."""
    fields = [
        ("obs", np.float32, (spec.obs_dim,)),
        ("action", np.float32, (spec.action_dim,)),
        ("reward", np.float32),
        ("next_obs", np.float32, (spec.obs_dim,)),
        ("terminated", np.bool_),
    ]
    return np.dtype(fields, align=True)


def pack(transitions: TransitionBatch, dtype: np.dtype) -> NDArray:
    """Copy columns into rows of `dtype`."""
    rows = np.zeros(len(transitions.reward), dtype)
    for name in dtype.names or ():
        rows[name] = getattr(transitions, name)
    return rows


def unpack(rows: NDArray, task_id: NDArray[np.int32]) -> TransitionBatch:
    """View rows as columns; nothing is copied."""
    return TransitionBatch(
        rows["obs"], rows["action"], rows["reward"], rows["next_obs"], rows["terminated"], task_id
    )


def words(rows: NDArray) -> NDArray[np.uint32]:
    """View rows as u32[..., words]: numpy copies words as one block but records field by field."""
    return rows.view(np.uint32).reshape(*rows.shape, rows.dtype.itemsize // 4)
