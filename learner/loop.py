"""The learner's loop: next batch, update, priorities back; publish, report and save periodically."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from actors.policy_weights import PolicyWeights
from learner.batch import TensorBatch, sampled_of, sampled_state
from learner.checkpoint_period import CheckpointPeriod
from learner.config import LearnerConfig
from learner.diagnostics import UpdateResult
from learner.feature_health import pool_health, unique_gradient_share
from learner.mirror_source import DrawLeave, MirrorSource
from learner.prefetch import BatchSource
from learner.publication import Publication, PublicationBeside
from learner.reported_rows import ReportedRows
from learner.sac import SacLearner
from learner.update_program import BatchUpdate
from replay_service.sampler import ReplayFinished
from replay_service.types import SampledBatch
from replay_service.wait import Wait

_log = logging.getLogger(__name__)

LONGEST_FULL_DISK_S, FULL_DISK_POLL_S = 600.0, 2.0  # at the end: less than a loop that stands still may take


class LearnerReport(NamedTuple):
    """Metrics at one step of a run."""

    env_steps: int
    learner_steps: int
    values: dict[str, float]
    rows: ReportedRows | None = None


class LoopOutputs(NamedTuple):
    """Callbacks for the loop's results, all called in the loop's thread."""

    publish: Callable[[PolicyWeights], None]
    report: Callable[[LearnerReport], None]
    save: Callable[[], None]  # begins a checkpoint of the learner as it is now
    check: Callable[[], None] = lambda: None  # raises what a checkpoint raised that was written meanwhile
    # Returns once what was begun is written, or False where a full disk has refused it.
    settle: Callable[[], bool] = lambda: True


class LearnerLoop:
    """Runs updates until `total_updates` or a stop. `run` blocks; a serial run drives `step` instead.

    `stop` may be called from any thread and takes effect after the update in progress.
    """

    def __init__(
        self,
        learner: SacLearner,
        source: BatchSource | MirrorSource,
        config: LearnerConfig,
        outputs: LoopOutputs,
        total_updates: int,
        checkpoints: CheckpointPeriod,
        update: Callable[[Any], UpdateResult] | None = None,
        publishes_beside: bool = False,
    ) -> None:
        """Take what the loop connects.

        Args:
            update: makes one from what the source gives; none: the learner's own, from a batch.
            publishes_beside: whether a thread publishes, with `learner.publish_least_s` between two publications.
        """
        if config.torch_threads is not None:
            torch.set_num_threads(config.torch_threads)
        self._learner, self._source, self._config, self._outputs = learner, source, config, outputs
        self._total_updates, self._checkpoints = total_updates, checkpoints
        self._stopping = threading.Event()
        self._pending: list[
            tuple[SampledBatch, Tensor]
        ] = []  # priorities of the sampling call's batches so far
        self._newest: tuple[SampledBatch, NDArray[np.float32]] | None = None  # with its priorities
        self._saved_at: int | None = None
        self._report_clock, self._report_waited_s = time.monotonic(), source.waited_s
        self._report_steps = learner.learner_steps
        self._publication = (
            PublicationBeside(learner, outputs.publish, config.publish_least_s)
            if publishes_beside
            else Publication(learner, outputs.publish)
        )
        self._update: Callable[[Any], UpdateResult] = update or BatchUpdate(learner, total_updates, False)

    @property
    def learner_steps(self) -> int:
        """Updates since the start of the run."""
        return self._learner.learner_steps

    @property
    def is_finished(self) -> bool:
        """Whether the run's updates are done."""
        return self.learner_steps >= self._total_updates

    def stop(self) -> None:
        """Ask `run` to return."""
        self._stopping.set()

    def publish(self) -> None:
        """Publish the current policy; to be called once before the first step, so that actors can begin."""
        self._publication.publish_now()

    def run(self) -> None:
        """Update until the target or a stop, then publish and save the final state.

        Raises:
            TimeoutError: no batch came within `stall_timeout_s`.
        """
        self.publish()
        try:
            self._update_until_end()
        except BaseException:
            # The first error counts, and what was begun is still worth having.
            with contextlib.suppress(Exception):
                self._outputs.settle()
            raise
        finally:
            self._source.close()
            self._publication.close()

    def _update_until_end(self) -> None:
        wait = Wait(_log, self._config.stall_timeout_s)
        while not (self.is_finished or self._stopping.is_set()):
            if self.step(self._config.sample_timeout_s):
                wait.restart()
            else:
                self._check_wait(wait)
        self._send_priorities()
        self._source.flush()
        self.publish()
        if self._saved_at != self.learner_steps:
            self._save()
        self._wait_for_room()

    def _wait_for_room(self) -> None:
        """Return once the last checkpoint is written; a stop waits for no disk that is full."""
        wait = Wait(_log, LONGEST_FULL_DISK_S)
        while not self._outputs.settle():
            if wait.is_over:
                raise OSError(errno.ENOSPC, "No space left on device for the last checkpoint")
            if self._stopping.wait(FULL_DISK_POLL_S):
                return

    def step(self, timeout_s: float = 0.0) -> bool:
        """Make one update if a batch comes in time, and what is due after it; return whether there was a batch.

        A requested checkpoint is written in either case.
        """
        batch = self._next_batch(timeout_s)
        if batch is not None:
            result = self._update(batch)
            if batch.sampled is not None:
                self._pending.append((batch.sampled, result.priorities))
            self._after_update(result)
        return batch is not None

    def state_dict(self) -> dict[str, Any]:
        """Return the priorities that are not sent yet, with their batches."""
        pending = [[sampled_state(batch), priority.cpu().numpy()] for batch, priority in self._pending]
        return {"pending": pending}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what is still to be sent."""
        device = self._learner.device
        self._pending = [
            (sampled_of(batch), torch.from_numpy(priority).to(device)) for batch, priority in state["pending"]
        ]

    def _next_batch(self, timeout_s: float) -> TensorBatch | DrawLeave | None:
        if self.is_finished:
            return None
        try:
            return self._source.next(self.learner_steps, timeout_s)
        except ReplayFinished as end:
            _log.info("learning ends at step %d of %d: %s", self.learner_steps, self._total_updates, end)
            self._total_updates = self.learner_steps
            return None

    def _after_update(self, result: UpdateResult) -> None:
        if len(self._pending) >= self._config.batches_per_call or self.is_finished:
            self._send_priorities()
        self._source.after_update(self.learner_steps)
        if self._is_due(self._config.publish_every_updates):
            self._publication.request()
        if self._is_due(self._config.metrics_every_updates):
            self._report(result)
        self._outputs.check()
        if self._checkpoints.is_due(self.learner_steps):
            self._save()

    def _is_due(self, period_updates: int) -> bool:
        return self.learner_steps % period_updates == 0

    def _send_priorities(self) -> None:
        """Send the priorities of a sampling call's batches: one wait for the device for all of them."""
        if not self._pending:
            return
        batches = [batch for batch, _ in self._pending]
        priorities = torch.stack([priority for _, priority in self._pending]).cpu()
        self._learner.guard.raise_if_tripped()
        self._source.sampler.update_priorities(batches, list(priorities.numpy()))
        self._newest = batches[-1], priorities[-1].numpy()
        self._pending.clear()

    def _save(self) -> None:
        self._source.flush()
        self._learner.guard.raise_if_tripped()
        self._outputs.save()
        self._saved_at = self.learner_steps
        self._checkpoints.restart(self.learner_steps)

    def _report(self, result: UpdateResult) -> None:
        actor = self._learner.actor
        values = result.metrics(self._learner.task_names) | unique_gradient_share(actor) | pool_health(actor)
        values["train/learning_rate"] = self._learner.learning_rate
        now, waited_s, steps = time.monotonic(), self._source.waited_s, self.learner_steps
        elapsed_s = max(now - self._report_clock, 1e-9)
        values["perf/updates_per_s"] = (steps - self._report_steps) / elapsed_s
        values["perf/learner_wait_frac"] = min(1.0, (waited_s - self._report_waited_s) / elapsed_s)
        self._report_clock, self._report_waited_s, self._report_steps = now, waited_s, steps
        self._learner.guard.raise_if_tripped()
        rows = None if self._newest is None else ReportedRows.of(*self._newest)
        self._outputs.report(LearnerReport(self._source.sampler.env_steps, steps, values, rows))

    def _check_wait(self, wait: Wait) -> None:
        if wait.is_over:
            raise TimeoutError(
                f"a batch must come within learner.stall_timeout_s, waited {wait.elapsed_s:.0f} s at learner step "
                f"{self.learner_steps} for {self._source.blocker}; see the actors' and shards' logs"
            )
        wait.report(f"learner waits for a batch: {self._source.blocker}")
