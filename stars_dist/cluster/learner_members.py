"""The further learners of a run: processes that make every update together with the first one, which owns them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ray
import ray.exceptions

from replay_service.transport import RayTransport
from stars_dist.cluster.failures import describe
from stars_dist.config.run_plan import RunPlan
from stars_dist.run_files.directory import RunDirectory

if TYPE_CHECKING:  # it imports torch, which must not be loaded before OMP_WAIT_POLICY is set
    from stars_dist.build.learner import LearnerSeat

HOST = "127.0.0.1"  # all learners of a run are on one node
NEVER_UPDATES = 10**12  # a further learner publishes and reports nothing
END_S = 5.0  # in which a learner that was lost is known to be


class LearnerLostError(RuntimeError):
    """A learner has ended in the middle of an update; all of them begin again at the last checkpoint."""


class StoreAddress(NamedTuple):
    """Where the learners of a run meet."""

    host: str
    port: int


def take_seat(plan: RunPlan, rank: int, address: StoreAddress) -> LearnerSeat:
    """Join the learners of a run; return once all have."""
    from learner.draw_board import StoreBoard
    from learner.learner_group import find_store, join_group
    from stars_dist.build.device import choose_device
    from stars_dist.build.learner import LearnerSeat

    group = join_group(find_store(*address), rank, plan.num_learners, choose_device(plan.config.device))
    return LearnerSeat(group, StoreBoard(find_store(*address)))


class LearnerMember:
    """One of the further learners. It ends with the first one."""

    def __init__(
        self,
        run_dir: Path,
        plan: RunPlan,
        shards: Sequence[Any],
        checkpoint: Path | None,
        rank: int,
        address: StoreAddress,
    ) -> None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in LearnerProcess
        from learner.checkpoint_period import CheckpointPeriod
        from learner.prefetch import PrefetchSource
        from stars_dist.build.learner import LearnerOutlets, build_learner

        seat = take_seat(plan, rank, address)
        quiet = {"publish_every_updates": NEVER_UPDATES, "metrics_every_updates": NEVER_UPDATES}
        plan = plan.override(learner=plan.config.learner.model_copy(update=quiet))
        self._learner = build_learner(
            RunDirectory(run_dir),
            plan,
            RayTransport(shards),
            checkpoint,
            PrefetchSource,
            LearnerOutlets(lambda _: None, lambda _: None, lambda _: None),
            CheckpointPeriod(),
            seat,
        )

    def run(self) -> None:
        """Learn until the run's updates are made."""
        from learner.learner_group import leave_group

        try:
            self._learner.loop.run()
        finally:
            leave_group()  # or the others would wait for it


class LearnerMembers:
    """Starts the further learners, and knows when one is lost."""

    def __init__(
        self,
        run_dir: Path,
        plan: RunPlan,
        shards: Sequence[Any],
        checkpoint: Path | None,
        options: Mapping[str, Any],
    ) -> None:
        """Start them with Ray's `options`, and return once all have joined the group."""
        from learner.learner_group import open_store

        self._store = open_store(HOST)
        address = StoreAddress(HOST, self._store.port)
        remote: Any = ray.remote(LearnerMember).options(**options)
        self._handles = [
            remote.remote(run_dir, plan, shards, checkpoint, rank, address)
            for rank in range(1, plan.num_learners)
        ]
        self._runs = [handle.run.remote() for handle in self._handles]
        self.seat = take_seat(plan, 0, address)

    def check(self, error: RuntimeError) -> None:
        """Raise LearnerLostError if one is lost, of which `error` is what the others noticed."""
        done, _ = ray.wait(self._runs, num_returns=1, timeout=END_S)
        for rank, run in enumerate(self._runs, start=1):
            if run in done:
                try:
                    ray.get(run)
                except ray.exceptions.RayError as loss:
                    raise LearnerLostError(f"learner {rank} was lost: {describe(loss)}") from error

    def end(self) -> None:
        """End them."""
        for handle in self._handles:
            ray.kill(handle, no_restart=True)
