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
from replay_service.shared_draws import SharedSampler


class BatchSource:
    """Draws on request, in the caller's thread: deterministic.

    It never draws more batches than `total_updates` has left, so that no drawn batch is unused at the end.
    """

    def __init__(
        self,
        sampler: ReplaySampler | SharedSampler,
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
        assert isinstance(self.sampler, ReplaySampler), "a serial run has one learner"
        self.sampler.load_state_dict(self.sampler.state_dict(self._drawn))

    def close(self) -> None:
        """Release what the source holds: nothing here, a thread where it prefetches."""

    def _draw(self, timeout_s: float) -> list[TensorBatch]:
        count = self._next_count()
        batches = self._draw_batches(count, self._drawn, timeout_s) if count else []
        self._drawn += len(batches)
        return batches

    def _next_count(self) -> int:
        """Return how many batches the next call is to draw."""
        return max(min(self._config.batches_per_call, self._total_updates - self._drawn), 0)

    def _draw_batches(self, count: int, drawn_before: int, timeout_s: float) -> list[TensorBatch]:
        """Draw batches after those that were drawn before; none if they did not come in time."""
        exponent = self._is_exponent(drawn_before / self._total_updates)
        try:
            batches = self.sampler.sample(count, self._learner_steps, exponent, timeout_s)
        except SampleTimeout as timeout:
            self.blocker = str(timeout)
            return []
        return [self._copier(batch) for batch in batches]


class PrefetchSource(BatchSource):
    """Prefetches in threads: sampling and copying run while the learner computes.

    At most `prefetch_calls` calls' batches are ready or in flight, each call in a thread of its own. What a thread
    raises is raised by `next` once the batches of all calls before are used.
    """

    def __init__(
        self,
        sampler: ReplaySampler | SharedSampler,
        device: torch.device,
        config: LearnerConfig,
        is_exponent: Callable[[float], float],
        total_updates: int,
        learner_steps: int = 0,
    ) -> None:
        super().__init__(sampler, device, config, is_exponent, total_updates, learner_steps)
        self._changed = threading.Condition()
        self._in_flight = 0  # batches
        self._error: BaseException | None = None
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"prefetch-{call}", daemon=True)
            for call in range(config.prefetch_calls)
        ]
        for thread in self._threads:
            thread.start()

    def next(self, learner_steps: int, timeout_s: float) -> TensorBatch | None:
        """Return the next batch; raises also what a thread raised."""
        start = time.monotonic()
        with self._changed:
            self._learner_steps = learner_steps
            self._changed.wait_for(lambda: self._ready or self._is_over, timeout_s)
            self.waited_s += time.monotonic() - start
            if not self._ready and self._error is not None and self._is_over:
                raise self._error
            batch = self._ready.popleft() if self._ready else None
            self._changed.notify_all()
        return batch

    def close(self) -> None:
        """End the threads after their calls in flight."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def _is_over(self) -> bool:
        """Whether a thread has failed and no batch is on its way any more."""
        return self._error is not None and self._in_flight == 0

    def _run(self) -> None:
        while (call := self._begin()) is not None:
            count, before = call
            batches: list[TensorBatch] = []
            error = None
            try:
                batches = self._draw_batches(count, before, self._config.sample_timeout_s)
            except BaseException as raised:
                error = raised
            with self._changed:
                self._in_flight -= count
                self._drawn -= count - len(batches)
                self._ready.extend(batches)
                self._error = self._error or error
                self._changed.notify_all()

    def _begin(self) -> tuple[int, int] | None:
        """Block until another call may be made and count it; return its batches and those before, None at the end."""
        room = (self._config.prefetch_calls - 1) * self._config.batches_per_call
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self._error or len(self._ready) + self._in_flight <= room
            )
            count, before = self._next_count(), self._drawn
            if self._closing or self._error or not count:
                return None
            self._in_flight += count
            self._drawn += count
            return count, before
