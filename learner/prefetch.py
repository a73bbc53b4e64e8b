"""The source of the learner's batches: prefetched by a thread, or drawn on request in the serial mode."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import torch

from learner.batch import BatchCopier, TensorBatch, sampled_of, sampled_state
from learner.config import LearnerConfig
from replay_service.sampler import ReplaySampler, SampleTimeout


class BatchSource:
    """Draws on request, in the caller's thread: deterministic.

    It never draws more batches than `total_updates` has left, so that no drawn batch is unused at the end.
    """

    def __init__(
        self,
        sampler: ReplaySampler,
        device: torch.device,
        config: LearnerConfig,
        is_exponent: Callable[[float], float],
        total_updates: int,
        learner_steps: int = 0,
    ) -> None:
        """`is_exponent` maps the run's progress, 0 to 1, to beta; `learner_steps` is where a run resumes."""
        self.sampler = sampler
        self.waited_s = 0.0  # time that the learner has waited for batches
        self.blocker = "the first batch"  # what the latest call without a batch was waiting for
        self._copier = BatchCopier(device)
        self._config, self._is_exponent, self._total_updates = config, is_exponent, total_updates
        self._drawn = learner_steps  # updates for which a batch was drawn
        self._learner_steps = learner_steps
        self._ready: deque[TensorBatch] = deque()

    def next(self, learner_steps: int, timeout_s: float) -> TensorBatch | None:
        """Return the next batch, or None if the replay had none in time.

        Raises:
            ReplayFinished: the run's transitions admit no further batch.
        """
        self._learner_steps = learner_steps
        if not self._ready:
            start = time.monotonic()
            self._ready.extend(self._draw(timeout_s))
            self.waited_s += time.monotonic() - start
        return self._ready.popleft() if self._ready else None

    def after_update(self, learner_steps: int) -> None:
        """Do what is due after an update: nothing here, as the loop returns the priorities of each batch."""

    def flush(self) -> None:
        """Send the shards what they lack of priorities: nothing here."""

    def state_dict(self) -> dict[str, Any]:
        """Return the batches that are drawn and not used yet."""
        return {
            "drawn": self._drawn,
            "ready": [sampled_state(batch.sampled) for batch in self._ready if batch.sampled],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the batches of a state, and with the sampler's count of what was drawn."""
        self._drawn = state["drawn"]
        self._ready = deque(self._copier(sampled_of(batch)) for batch in state["ready"])
        self.sampler.load_state_dict(self.sampler.state_dict(self._drawn))

    def close(self) -> None:
        """Release what the source holds: nothing here, a thread where it prefetches."""

    def _draw(self, timeout_s: float) -> list[TensorBatch]:
        count = min(self._config.batches_per_call, self._total_updates - self._drawn)
        if count <= 0:
            return []
        exponent = self._is_exponent(self._drawn / self._total_updates)
        try:
            batches = self.sampler.sample(count, self._learner_steps, exponent, timeout_s)
        except SampleTimeout as timeout:
            self.blocker = str(timeout)
            return []
        self._drawn += len(batches)
        return [self._copier(batch) for batch in batches]


class PrefetchSource(BatchSource):
    """Prefetches in a thread: sampling and copying run while the learner computes.

    At most `prefetch_calls` calls' batches are ready or in flight. What the thread raises is raised by `next` once
    the batches before it are used.
    """

    def __init__(
        self,
        sampler: ReplaySampler,
        device: torch.device,
        config: LearnerConfig,
        is_exponent: Callable[[float], float],
        total_updates: int,
        learner_steps: int = 0,
    ) -> None:
        super().__init__(sampler, device, config, is_exponent, total_updates, learner_steps)
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def next(self, learner_steps: int, timeout_s: float) -> TensorBatch | None:
        """Return the next batch; raises also what the thread raised."""
        start = time.monotonic()
        with self._changed:
            self._learner_steps = learner_steps
            self._changed.wait_for(lambda: self._ready or self._error, timeout_s)
            self.waited_s += time.monotonic() - start
            if not self._ready and self._error is not None:
                raise self._error
            batch = self._ready.popleft() if self._ready else None
            self._changed.notify_all()
        return batch

    def close(self) -> None:
        """End the thread after its call in flight."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._wait_for_room():
                batches = self._draw(self._config.sample_timeout_s)
                with self._changed:
                    self._ready.extend(batches)
                    self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        """Block until another call's batches may be drawn; return False when there are no more to draw."""
        room = (self._config.prefetch_calls - 1) * self._config.batches_per_call
        with self._changed:
            self._changed.wait_for(lambda: self._closing or len(self._ready) <= room)
            return not self._closing and self._drawn < self._total_updates
