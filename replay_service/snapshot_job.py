"""A snapshot in progress: every shard writes its tables, then the whole appears at once."""

from __future__ import annotations

import shutil

from replay_service.plan import ReplayPlan
from replay_service.snapshot import Snapshot, SnapshotStore
from replay_service.transport import Transport


class SnapshotJob:
    """One snapshot: starts in all shards at its construction; call `finish` once it `is_done`."""

    def __init__(self, plan: ReplayPlan, store: SnapshotStore, transport: Transport, env_steps: int) -> None:
        self._plan, self._store, self._env_steps = plan, store, env_steps
        self._directory = store.begin()
        call = ("write_snapshot", str(self._directory))
        self._pending = [transport.submit(shard, *call) for shard in range(plan.num_shards)]

    @property
    def is_done(self) -> bool:
        """Whether every shard has written its tables or failed."""
        return all(call.done() for call in self._pending)

    def finish(self) -> Snapshot:
        """Commit and return the snapshot; raise what a shard or the disk raised, and then nothing of it stays."""
        digests: dict[str, str] = {}
        try:
            for call in self._pending:
                digests |= call.result(self._plan.replay.call_timeout_s)
            return self._store.commit(self._directory, self._plan.spec, self._env_steps, digests)
        except Exception:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Remove what was written; a shard that still writes fails, as its directory is gone."""
        shutil.rmtree(self._directory, ignore_errors=True)
