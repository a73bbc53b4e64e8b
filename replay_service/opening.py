"""The opening of a shard: what its files were found to be, and what a snapshot gives back."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from replay_service.content import ShardContent
from replay_service.snapshot import SnapshotError, SnapshotStore
from replay_service.table_copy import restore_table
from replay_service.types import TransitionSpec

logger = logging.getLogger(__name__)


def opening_report(content: ShardContent, doubt: str | None) -> str | None:
    """Say what the files were found to be if they may be torn, or are; None if there was nothing to tell."""
    findings = content.findings
    expected, whole = (sum(numbers) for numbers in zip(*findings, strict=True)) if findings else (0, 0)
    if whole < expected:
        why = doubt or "its files are damaged"
        return f"{why}; {whole:,} of {expected:,} transitions are whole and stay, the others are lost"
    return f"{doubt}; all of its {expected:,} transitions were checked and are whole" if doubt else None


def restore_unused(
    content: ShardContent, task_ids: Sequence[int], store: SnapshotStore, spec: TransitionSpec, index: int
) -> None:
    """Fill each table that was never used from the newest snapshot that is whole; `index` names the shard."""
    for table, task in enumerate(task_ids):
        for snapshot in store.newest_first(spec):
            if content.tables.count[table]:
                break
            try:
                restore_table(content, table, snapshot.task(task))
            except SnapshotError as error:
                logger.warning("shard %d skips a snapshot of task %d: %s", index, task, error)
