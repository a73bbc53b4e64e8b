"""The source of updates that draw from a mirror: leave to draw, the update itself, and what goes back to the shards."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from learner.diagnostics import UpdateResult
from learner.mirror_feed import MirrorFeed
from learner.replay_mirror import MirrorDraw, ReplayMirror
from learner.sac import SacLearner
from learner.update_program import UpdateProgram
from replay_service.config import SamplingConfig
from replay_service.priority import effective_sample_size
from replay_service.row_feed import ShardRows
from replay_service.sampler import ReplaySampler

_log = logging.getLogger(__name__)

FETCH_PERIOD_S = 0.02  # between two calls to the shards: their answers move the limiter, too
FETCHES_IN_HAND = 4  # that wait for the learner; then the thread waits
_POLL_S = 0.005  # between two looks for what an update waits for


class DrawLeave(NamedTuple):
    """Leave for one update, whose batch is drawn on the device."""

    quota: NDArray[np.int64]  # i64[T], rows of each task
    sampled: None = None  # no shard has drawn it


class MirrorUpdate:
    """An update with its draw, in one program: quotas in, weights and priorities changed where they lie."""

    def __init__(
        self,
        learner: SacLearner,
        mirror: ReplayMirror,
        sampling: SamplingConfig,
        total_updates: int,
        uses_graph: bool,
    ) -> None:
        self._learner, self._mirror, self._sampling = learner, mirror, sampling
        self._total_updates = total_updates
        self._quota = torch.zeros(learner.spec.num_tasks, dtype=torch.int64, device=learner.device)
        self._quota_on_host = np.zeros(0, np.int64)
        self._newest: MirrorDraw | None = None
        self._program = UpdateProgram(
            learner, self._draw_and_update, [learner.generator, mirror.generator], uses_graph
        )

    def __call__(self, leave: DrawLeave) -> UpdateResult:
        """Make one update."""
        if not np.array_equal(leave.quota, self._quota_on_host):
            self._quota_on_host = leave.quota
            self._quota.copy_(torch.from_numpy(leave.quota))
        return self._program()

    def effective_size(self) -> float:
        """Return the share of the newest batch that its weights let count; waits for the device."""
        if self._newest is None:
            return float("nan")
        return effective_sample_size(self._newest.batch.is_weight.cpu().numpy())

    def _draw_and_update(self) -> UpdateResult:
        progress = self._learner.progress(self._total_updates)
        self._learner.anneal(progress)
        start, end = self._sampling.is_exponent_start, self._sampling.is_exponent_end
        self._newest = self._mirror.draw(self._quota, start + progress.clamp(0, 1) * (end - start))
        result = self._learner.update(self._newest.batch)
        self._mirror.set_priorities(self._newest, result.priorities)
        return result


class MirrorSource:
    """Leave for updates, in the learner's thread; rows are fetched by a thread, or in a serial run when asked for."""

    def __init__(
        self,
        sampler: ReplaySampler,
        feed: MirrorFeed,
        update: MirrorUpdate,
        flush_every_updates: int,
        learner_steps: int,
        uses_thread: bool,
    ) -> None:
        """`learner_steps` is where a run resumes."""
        self.sampler = sampler
        self.waited_s = 0.0  # time that the learner has waited for leave
        self._feed, self._update, self._flush_every = feed, update, flush_every_updates
        self._learner_steps, self._is_resumed = learner_steps, learner_steps > 0
        self._started = time.monotonic()
        self._fetched: deque[ShardRows] = deque()
        self._changed, self._closing = threading.Condition(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mirror", daemon=True) if uses_thread else None
        if self._thread is not None:
            self._thread.start()

    @property
    def blocker(self) -> str:
        """What an update waits for."""
        if self._feed.is_ready:
            return self.sampler.blocker()
        return (
            f"the mirror, which holds {self._feed.size.tolist()} rows of the tasks; {self.sampler.blocker()}"
        )

    def next(self, learner_steps: int, timeout_s: float) -> DrawLeave | None:
        """Return leave for the next update, or None if there was none in time.

        Raises:
            ReplayFinished: the run's transitions admit no further batch.
        """
        start = time.monotonic()
        self._learner_steps = learner_steps
        while True:
            self._apply_fetched()
            quota = self.sampler.admit(1) if self._feed.is_ready else None
            waited_s = time.monotonic() - start
            if quota is not None or waited_s >= timeout_s:
                break
            with self._changed:
                self._changed.wait(min(_POLL_S, timeout_s))
        self.waited_s += waited_s
        if quota is None:
            return None
        self._feed.note_drawn(quota)
        return DrawLeave(quota)

    def after_update(self, learner_steps: int) -> None:
        """Send priorities if it is time."""
        if learner_steps % self._flush_every == 0:
            self.flush()

    def flush(self) -> None:
        """Send the shards all priorities that they do not have; waits for the device."""
        self._feed.send_priorities()
        self.sampler.newest_effective_size = self._update.effective_size()

    def close(self) -> None:
        """End the thread after its call in flight."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _apply_fetched(self) -> None:
        must_ask = self._thread is None and not self.sampler.can_sample(1)
        while must_ask or (self._thread is None and self._feed.is_behind):
            must_ask = False
            for answer in self._feed.fetch(self._learner_steps):
                self._feed.apply(answer)
        for answer in self._take_fetched():
            self._feed.apply(answer)
        if self._is_resumed and self._feed.is_ready:
            self._is_resumed = False
            elapsed_s = time.monotonic() - self._started
            _log.warning(
                "the mirror is filled again from the shards: %d rows in %.1f s",
                self._feed.size.sum(),
                elapsed_s,
            )

    def _take_fetched(self) -> list[ShardRows]:
        if self._error is not None:
            raise self._error
        if not self._fetched:
            return []
        with self._changed:
            answers = list(self._fetched)
            self._fetched.clear()
            self._changed.notify_all()
        return answers

    def _run(self) -> None:
        try:
            while self._wait_for_room():
                start = time.monotonic()
                answers = self._feed.fetch(self._learner_steps)
                with self._changed:
                    self._fetched.extend(answers)
                    self._changed.notify_all()
                if not self._feed.is_behind:
                    self._closing.wait(max(FETCH_PERIOD_S - (time.monotonic() - start), 0.0))
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        room = FETCHES_IN_HAND * self._feed.num_shards
        with self._changed:
            self._changed.wait_for(lambda: self._closing.is_set() or len(self._fetched) < room)
            return not self._closing.is_set()
