"""Checks of what enters a shard: a chunk is stored whole or refused with its actor and task named."""

from __future__ import annotations

import numpy as np

from replay_service.dedup_window import MAX_ACTORS
from replay_service.types import Chunk, TransitionBatch, TransitionSpec


def check_chunk(chunk: Chunk, spec: TransitionSpec, max_rows: int) -> int:
    """Check a chunk and return its task.

    Raises:
        ValueError: its id, columns, rows or episodes are not as they must be; names actor and task.
    """
    actor, incarnation, sequence = chunk.id
    if not 0 <= actor < MAX_ACTORS or incarnation < 0 or sequence < 0:
        raise ValueError(
            f"actor {actor}: chunk ids must have 0 <= actor < {MAX_ACTORS}, incarnation >= 0 and "
            f"sequence >= 0, got {tuple(chunk.id)}; number them from 0"
        )
    task_id = chunk.transitions.task_id
    sender = f"actor {actor}, task {task_id[0] if np.ndim(task_id) == 1 and len(task_id) else 'unknown'}"
    _check_columns(chunk.transitions, spec, sender)
    _check_rows(chunk.transitions, max_rows, sender)
    for end in chunk.episodes:
        if end.task_id != task_id[0] or not np.isfinite(end.return_) or end.length < 1:
            raise ValueError(
                f"{sender}: an episode must be of the chunk's task with finite return and length >= 1, "
                f"got {end}; nothing of the chunk is stored"
            )
    return int(task_id[0])


def _check_columns(transitions: TransitionBatch, spec: TransitionSpec, sender: str) -> None:
    rows = len(transitions.task_id) if np.ndim(transitions.task_id) else 0
    expected = {
        "task_id": (np.int32, (rows,)),
        "obs": (np.float32, (rows, spec.obs_dim)),
        "action": (np.float32, (rows, spec.action_dim)),
        "reward": (np.float32, (rows,)),
        "next_obs": (np.float32, (rows, spec.obs_dim)),
        "terminated": (np.bool_, (rows,)),
    }
    for name, (dtype, shape) in expected.items():
        column = np.asarray(getattr(transitions, name))
        if column.dtype != dtype or column.shape != shape:
            raise ValueError(
                f"{sender}: {name} must be {np.dtype(dtype)}{list(shape)}, "
                f"got {column.dtype}{list(column.shape)}; nothing of the chunk is stored"
            )


def _check_rows(transitions: TransitionBatch, max_rows: int, sender: str) -> None:
    rows = len(transitions.task_id)
    if not 1 <= rows <= max_rows:
        raise ValueError(
            f"{sender}: a chunk must have 1 to {max_rows} rows, the capacity of the table, got {rows}; "
            f"send smaller chunks or raise replay.capacity_per_task"
        )
    if (transitions.task_id != transitions.task_id[0]).any():
        raise ValueError(
            f"{sender}: a chunk must hold one task, got tasks {np.unique(transitions.task_id).tolist()}; "
            f"send one chunk per task"
        )
    for name in ("obs", "action", "reward", "next_obs"):
        finite = np.isfinite(getattr(transitions, name))
        if not finite.all():
            row = int(np.argmin(finite.reshape(rows, -1).all(axis=1)))
            raise ValueError(
                f"{sender}: {name} must be finite, got {getattr(transitions, name)[row]} in row {row}; "
                f"nothing of the chunk is stored"
            )
