"""Batching: merges the answers of all shards into batches sorted by task, with their importance weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from replay_service.priority import importance_weights
from replay_service.rows import unpack, words
from replay_service.types import SampledBatch, SampleInfo, ShardSample, shard_of_task


def merge_samples(
    answers: Sequence[ShardSample], quota: NDArray[np.int64], is_exponent: float, is_scaled: bool = True
) -> list[SampledBatch]:
    """Return one batch for each row of quota, i64[num_batches, T]; answers[s] is shard s's answer to that quota.

    Importance weights are not brought to mean one where `is_scaled` is false: the rows are a share of a batch.
    """
    home = np.array([shard_of_task(task, len(answers)) for task in range(quota.shape[1])], np.int32)
    shard = np.repeat(np.broadcast_to(home, quota.shape).ravel(), quota.ravel())
    places = [np.flatnonzero(shard == index) for index in range(len(answers))]

    packed = _interleave([answer.rows for answer in answers], places)
    task_id = _interleave([answer.task_id for answer in answers], places)
    key = _interleave([answer.key for answer in answers], places)
    probability = _interleave([answer.probability for answer in answers], places)
    table_size = _interleave([answer.table_size for answer in answers], places)
    discounts = [answer.discount for answer in answers if answer.discount is not None]
    discount = _interleave(discounts, places) if discounts else None

    batches = []
    end = 0
    for group_sizes, batch_size in zip(quota, quota.sum(axis=1).tolist(), strict=True):
        part = slice(end, end := end + batch_size)
        batches.append(
            SampledBatch(
                unpack(packed[part], task_id[part]),
                importance_weights(probability[part], table_size[part], is_exponent, is_scaled),
                group_sizes,
                SampleInfo(shard[part], key[part], probability[part]),
                None if discount is None else discount[part],
            )
        )
    return batches


def _interleave(parts: Sequence[NDArray], places: Sequence[NDArray[np.int64]]) -> NDArray:
    """Merge arrays: parts[s] is at places[s] of the result."""
    if len(parts) == 1:
        return parts[0]
    merged = np.empty(sum(map(len, parts)), parts[0].dtype)
    for part, place in zip(parts, places, strict=True):
        words(merged)[place] = words(part)
    return merged
