"""The admission of chunks to a shard: what is stored now, what waits, what is refused for good."""

from __future__ import annotations

from replay_service.content import ShardContent
from replay_service.plan import ReplayPlan
from replay_service.types import Chunk, InsertStatus


class Admission:
    """Decides over chunks of one shard, whose lock the caller holds. One of n rows of task tau is stored iff

    min(inserted_tau + n, step budget) <= insert limit    or    the table holds less than the warm-up.
    """

    def __init__(self, plan: ReplayPlan, content: ShardContent) -> None:
        self._plan, self._content = plan, content
        self.insert_limit = (
            plan.limiter().allowed_inserts() // plan.num_tasks
        )  # the newest that the sampler has sent

    def status(self, chunk: Chunk, table: int) -> InsertStatus:
        """Decide over a well-formed chunk of the task of a table."""
        tables, dedup = self._content.tables, self._content.dedup
        if dedup.is_stored(table, chunk.id):
            return InsertStatus.DUPLICATE
        inserted = int(tables.inserted[table])
        if inserted >= self._plan.steps_per_task or dedup.is_superseded(table, chunk.id):
            return InsertStatus.CLOSED
        is_within = self.count_after(chunk, table) <= self.insert_limit
        if is_within or tables.size[table] < self._plan.warmup_steps:
            return InsertStatus.STORED
        return InsertStatus.WAIT

    def count_after(self, chunk: Chunk, table: int) -> int:
        """Return what a table will have stored once it has the chunk too: the insert limit that admits it."""
        inserted = int(self._content.tables.inserted[table])
        return min(inserted + len(chunk.transitions.reward), self._plan.steps_per_task)
