"""Batching: merges the answers of all shards into batches sorted by task, with their importance weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from replay_service.rows import unpack, words
from replay_service.types import SampledBatch, SampleInfo, ShardSample, shard_of_task


def merge_samples(
    answers: Sequence[ShardSample], quota: NDArray[np.int64], is_exponent: float
) -> list[SampledBatch]:
    """One batch for each row of quota i64[num_batches, T]; answers[s] is shard s's answer to that quota."""
    home = np.array([shard_of_task(task, len(answers)) for task in range(quota.shape[1])], np.int32)
    shard = np.repeat(np.broadcast_to(home, quota.shape).ravel(), quota.ravel())
    rows = [np.flatnonzero(shard == index) for index in range(len(answers))]

    packed = _interleave([answer.rows for answer in answers], rows)
    task_id = _interleave([answer.task_id for answer in answers], rows)
    key = _interleave([answer.key for answer in answers], rows)
    probability = _interleave([answer.probability for answer in answers], rows)
    table_size = _interleave([answer.table_size for answer in answers], rows)

    batches = []
    end = 0
    for j, size in enumerate(quota.sum(axis=1).tolist()):
        part = slice(end, end := end + size)
        batches.append(
            SampledBatch(
                unpack(packed[part], task_id[part]),
                importance_weights(probability[part], table_size[part], is_exponent),
                quota[j],
                SampleInfo(shard[part], key[part], probability[part]),
            )
        )
    return batches


def importance_weights(
    probability: NDArray[np.float64], table_size: NDArray[np.int64], exponent: float
) -> NDArray[np.float32]:
    """(N P(i))^-exponent over one maximum of the whole batch; one for each task would reweight the tasks."""
    weight = (table_size * probability) ** -exponent
    return (weight / weight.max()).astype(np.float32)


def effective_sample_size(weight: NDArray[np.float32]) -> float:
    """(sum w)^2 / (n sum w^2): the share of the batch that counts, 1 for equal weights (Kish 1965)."""
    return float(
        weight.sum(dtype=np.float64) ** 2 / (len(weight) * np.square(weight, dtype=np.float64).sum())
    )


def _interleave(parts: Sequence[NDArray], rows: Sequence[NDArray[np.int64]]) -> NDArray:
    """An array with parts[s] at rows[s]."""
    if len(parts) == 1:
        return parts[0]
    merged = np.empty(sum(map(len, parts)), parts[0].dtype)
    for part, row in zip(parts, rows, strict=True):
        words(merged)[row] = words(part)
    return merged
