"""Where an actor's chunks go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from replay_service.types import EpisodeEnd, TransitionBatch


class ChunkWriter(Protocol):
    """What an actor needs of `replay_service.writer.ReplayWriter`; benchmarks and tests have writers of their own."""

    @property
    def learner_steps(self) -> int:
        """The newest count of learner steps that an acknowledgement brought."""
        ...

    @property
    def closed(self) -> bool:
        """Whether every task has used up its step budget."""
        ...

    def ready_tasks(self, timeout_s: float = 0.0) -> list[int]:
        """List the tasks that take a chunk now; wait up to `timeout_s` for the first."""
        ...

    def write(
        self, transitions: TransitionBatch, episodes: Sequence[EpisodeEnd], weights_version: int
    ) -> None:
        """Send a chunk of one task and the episodes that ended in it."""

    def take_on(self, task: int) -> None:
        """Write chunks of one more task from now on."""

    def leave(self, task: int) -> None:
        """Write no more chunks of a task."""
