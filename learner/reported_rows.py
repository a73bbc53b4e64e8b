"""Rows of a batch that are reported: what the learner saw, for pictures of its features and priorities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replay_service.types import SampledBatch

STATES_PER_TASK = 20


class ReportedRows(NamedTuple):
    """Some states of each task of a batch, and the new priorities of all of its rows."""

    obs: NDArray[np.float32]  # f32[N, O], sorted by task
    task_id: NDArray[np.int64]  # i64[N]
    priority: NDArray[np.float32]  # f32[B]

    @classmethod
    def of(cls, batch: SampledBatch, priority: NDArray[np.float32]) -> ReportedRows:
        """Choose the first states of each task."""
        ends = np.cumsum(batch.group_sizes)
        first = ends - batch.group_sizes
        last = np.minimum(ends, first + STATES_PER_TASK)
        rows = np.concatenate([np.arange(*span) for span in zip(first, last, strict=True)])
        transitions = batch.transitions
        return cls(transitions.obs[rows].copy(), transitions.task_id[rows].astype(np.int64), priority)
