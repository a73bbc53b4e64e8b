"""Rows that a report holds: the first states of every task, whatever the tasks' shares of the batch."""

from __future__ import annotations

import numpy as np

from learner.reported_rows import STATES_PER_TASK, ReportedRows
from replay_service.types import SampledBatch, SampleInfo, TransitionBatch


def batch_of(group_sizes: list[int]) -> SampledBatch:
    size = sum(group_sizes)
    obs = np.arange(size, dtype=np.float32)[:, None]
    task_id = np.repeat(np.arange(len(group_sizes), dtype=np.int32), group_sizes)
    ones, nowhere = np.ones(size, np.float32), np.zeros(size, np.int64)
    transitions = TransitionBatch(obs, obs, ones, obs, ones > 2, task_id)
    info = SampleInfo(nowhere.astype(np.int32), nowhere, ones.astype(np.float64))
    return SampledBatch(transitions, ones, np.array(group_sizes), info)


def test_each_task_has_its_first_states_and_all_rows_their_priority() -> None:
    priority = np.arange(50, dtype=np.float32)
    batch = batch_of([3, 0, STATES_PER_TASK + 27])
    rows = ReportedRows.of(batch, priority)
    assert rows.task_id.tolist() == [0] * 3 + [2] * STATES_PER_TASK
    assert rows.obs[:, 0].tolist() == list(range(3 + STATES_PER_TASK))
    assert rows.priority is priority
    batch.transitions.obs[:] = -1.0  # memory that the replay may use again
    assert rows.obs.min() == 0.0
