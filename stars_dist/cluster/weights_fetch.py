"""A fetch of published weights: the parts of some tasks, on their way from Ray's object store."""

from __future__ import annotations

import ray

from actors.policy_weights import PolicyWeights
from actors.task_weights import join_weights
from stars_dist.cluster.coordinator import PublishedWeights


class WeightsFetch:
    """The parts of one published version; nothing here waits but `result`, for what has arrived."""

    def __init__(self, published: PublishedWeights) -> None:
        self._published = published
        self._references = [*published.common, *published.of_task.values()]

    def is_covering(self, task_ids: tuple[int, ...]) -> bool:
        """Return whether it has all that these tasks need."""
        return not self._published.num_tasks or {*task_ids} <= self._published.of_task.keys()

    def is_done(self) -> bool:
        """Return whether every part has arrived, or is known to be lost."""
        done, _ = ray.wait(self._references, num_returns=len(self._references), timeout=0)
        return len(done) == len(self._references)

    def result(self) -> PolicyWeights:
        """Return the weights; raises what Ray raises where a part died with its learner."""
        common, *parts = ray.get(self._references)
        published = self._published
        of_task = dict(zip(published.of_task, parts, strict=True))
        return join_weights(published.version, common, of_task, published.num_tasks)
