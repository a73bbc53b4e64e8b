"""Sizes of a run's processes that follow from its plan."""

from __future__ import annotations

import pytest

from stars_dist.cluster.cluster import waiting_inserts
from stars_dist.config.merge import resolve, set_layer


@pytest.mark.parametrize(
    ("tasks", "actors", "shards", "chunks"),
    [
        # Ten tasks of a shard, two chunks of each in flight, and those of a killed actor before.
        (50, 50, 5, 40),
        (10, 4096, 1, 2 * 10 * 410 * 2),
        (50, 500, 5, 400),
        (7, 3, 2, 16),
    ],
)
def test_threads_of_a_shard_follow_its_own_tasks(tasks: int, actors: int, shards: int, chunks: int) -> None:
    settings = (f"suite=toy:{tasks}", f"actors.num_actors={actors}", f"replay.num_shards={shards}")
    assert waiting_inserts(resolve([set_layer(setting) for setting in settings]).plan) == chunks
