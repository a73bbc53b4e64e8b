"""The learner's loop: next batch, update, priorities back; publish, report and save when it is time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from actors.policy_weights import PolicyWeights
from learner.batch import TensorBatch
from learner.config import LearnerConfig
from learner.diagnostics import UpdateResult
from learner.prefetch import BatchSource
from learner.publisher import export_policy
from learner.sac import SacLearner
from replay_service.sampler import ReplayFinished
from replay_service.types import SampledBatch

_log = logging.getLogger(__name__)
_WAIT_MESSAGE_S = 10.0


class LearnerReport(NamedTuple):
    """Metrics at one moment of a run."""

    env_steps: int
    learner_steps: int
    values: dict[str, float]


class LoopOutputs(NamedTuple):
    """Where the loop's results go. All are called in the loop's thread."""

    publish: Callable[[PolicyWeights], None]
    report: Callable[[LearnerReport], None]
    save: Callable[[], None]  # writes a checkpoint of the learner as it is now


class LearnerLoop:
    """Runs updates until `total_updates` or a stop. `run` blocks; a serial run drives `step` instead.

    `stop` and `request_checkpoint` may be called from any thread and take effect after the update under way.
    """

    def __init__(
        self,
        learner: SacLearner,
        source: BatchSource,
        config: LearnerConfig,
        outputs: LoopOutputs,
        total_updates: int,
        save_every_updates: int | None,
    ) -> None:
        if config.torch_threads is not None:
            torch.set_num_threads(config.torch_threads)
        self._learner, self._source, self._config, self._outputs = learner, source, config, outputs
        self._total_updates, self._save_every = total_updates, save_every_updates
        self._stopping, self._save_requested = threading.Event(), threading.Event()
        self._pending: list[tuple[SampledBatch, Tensor]] = []  # priorities of the call's batches so far
        self._saved_at: int | None = None
        self._report_clock, self._report_waited_s = time.monotonic(), source.waited_s
        self._report_steps = learner.learner_steps

    @property
    def learner_steps(self) -> int:
        return self._learner.learner_steps

    @property
    def is_finished(self) -> bool:
        return self.learner_steps >= self._total_updates

    def stop(self) -> None:
        self._stopping.set()

    def request_checkpoint(self) -> None:
        self._save_requested.set()

    def publish(self) -> None:
        """Publishes the policy as it is now; once before the first step, so that actors can begin."""
        self._outputs.publish(export_policy(self._learner))

    def run(self) -> None:
        """Updates until the target or a stop, then publishes and saves the last state.

        Raises:
            TimeoutError: no batch came within `stall_timeout_s`.
        """
        self.publish()
        try:
            last_batch_s = last_message_s = time.monotonic()
            while not (self.is_finished or self._stopping.is_set()):
                if self.step(self._config.sample_timeout_s):
                    last_batch_s = last_message_s = time.monotonic()
                    continue
                last_message_s = self._report_wait(time.monotonic(), last_batch_s, last_message_s)
            self._send_priorities()
            self.publish()
            if self._saved_at != self.learner_steps:
                self._save()
        finally:
            self._source.close()

    def step(self, timeout_s: float = 0.0) -> bool:
        """One update, if a batch comes in time, and what is due after it. False: there was no batch.

        A requested checkpoint is written in either case.
        """
        batch = self._next_batch(timeout_s)
        if batch is not None:
            batch.wait_until_copied()
            self._learner.anneal(self.learner_steps / self._total_updates)
            result = self._learner.update(batch)
            self._pending.append((batch.sampled, result.priorities))
            self._after_update(result)
        if self._save_requested.is_set():
            self._save_requested.clear()
            self._save()
        return batch is not None

    def _next_batch(self, timeout_s: float) -> TensorBatch | None:
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
        if self._is_due(self._config.publish_every_updates):
            self.publish()
        if self._is_due(self._config.metrics_every_updates):
            self._report(result)
        if self._save_every is not None and self._is_due(self._save_every):
            self._save()

    def _is_due(self, period_updates: int) -> bool:
        return self.learner_steps % period_updates == 0

    def _send_priorities(self) -> None:
        """Gives back the priorities of a call's batches: one wait for the device for all of them."""
        if not self._pending:
            return
        batches = [batch for batch, _ in self._pending]
        priorities = torch.stack([priority for _, priority in self._pending]).cpu()
        self._learner.guard.raise_if_tripped()
        self._source.sampler.update_priorities(batches, list(priorities.numpy()))
        self._pending.clear()

    def _save(self) -> None:
        self._learner.guard.raise_if_tripped()
        self._outputs.save()
        self._saved_at = self.learner_steps

    def _report(self, result: UpdateResult) -> None:
        values = result.metrics(self._learner.task_names) | self._learner.gradient_metrics()
        values["train/learning_rate"] = self._learner.learning_rate
        now, waited_s, steps = time.monotonic(), self._source.waited_s, self.learner_steps
        elapsed_s = max(now - self._report_clock, 1e-9)
        values["perf/updates_per_s"] = (steps - self._report_steps) / elapsed_s
        values["perf/learner_wait_frac"] = min(1.0, (waited_s - self._report_waited_s) / elapsed_s)
        self._report_clock, self._report_waited_s, self._report_steps = now, waited_s, steps
        self._learner.guard.raise_if_tripped()
        self._outputs.report(LearnerReport(self._source.sampler.env_steps, steps, values))

    def _report_wait(self, now_s: float, last_batch_s: float, last_message_s: float) -> float:
        """Says what the loop waits for, at most every 10 s; returns when it last did."""
        waited_s = now_s - last_batch_s
        if waited_s > self._config.stall_timeout_s:
            raise TimeoutError(
                f"a batch must come within learner.stall_timeout_s, waited {waited_s:.0f} s at learner step "
                f"{self.learner_steps} for {self._source.blocker}; see the actors' and shards' logs"
            )
        if now_s - last_message_s < _WAIT_MESSAGE_S:
            return last_message_s
        _log.info("learner has waited %.0f s for a batch: %s", waited_s, self._source.blocker)
        return now_s
