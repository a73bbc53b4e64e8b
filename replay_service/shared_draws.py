"""Draws that several learners share: one decides what is drawn of a batch, and each draws its share of the rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from replay_service.batching import merge_samples
from replay_service.plan import ReplayPlan
from replay_service.priority import effective_sample_size
from replay_service.sampler import LONGEST_POLL_S, SHORTEST_POLL_S, ReplaySampler, SampleTimeout
from replay_service.shard_calls import RETRY_PERIOD_S, ShardCalls
from replay_service.table import TableEmpty
from replay_service.transport import Transport
from replay_service.types import SampledBatch, ShardSample
from replay_service.wait import Wait

logger = logging.getLogger(__name__)


class Draw(NamedTuple):
    """What all learners draw with one call each."""

    quota: NDArray[np.int64]  # i64[num_batches, T], rows of whole batches
    learner_steps: int
    insert_limit_per_task: int
    is_exponent: float


class DrawBoard(Protocol):
    """Where the first learner posts draws and the others read them, in their order from 0."""

    def post(self, number: int, draw: Draw) -> None:
        """Post a draw."""
        ...

    def read(self, number: int, timeout_s: float) -> Draw | None:
        """Return a draw, or None if it was not posted in time."""
        ...


def share_of(quota: NDArray[np.int64], rank: int, size: int) -> NDArray[np.int64]:
    """Return the rows of one of `size` learners, i64[num_batches, T]: of the rows of a batch in order of task, every
    `size`-th from the `rank`-th on.
    """
    ends = quota.cumsum(axis=1)
    before_ends = (ends - rank + size - 1) // size
    return np.diff(before_ends, axis=1, prepend=0)


class SharedSampler:
    """Draws one learner's share of every batch. The first takes leave of the limiter for all; `sampler` has it.

    Importance weights are not scaled to mean one: the scale is one for the whole batch, which no learner has.
    """

    def __init__(
        self,
        plan: ReplayPlan,
        transport: Transport,
        sampler: ReplaySampler,
        board: DrawBoard,
        rank: int,
        size: int,
    ) -> None:
        self._sampler, self._board, self._calls = sampler, board, ShardCalls(plan, transport)
        self._rank, self._size, self._leads = rank, size, rank == 0
        self._number = 0  # of the next draw
        self._begun: Draw | None = None  # this one, until its rows are here

    @property
    def env_steps(self) -> int:
        """Transitions stored in this run, as far as this learner has heard."""
        return self._sampler.env_steps

    def sample(
        self, num_batches: int, learner_steps: int, is_exponent: float, timeout_s: float
    ) -> list[SampledBatch]:
        """Draw this learner's share of the next batches, as many as the first learner has posted.

        Raises:
            SampleTimeout, ReplayFinished: as `ReplaySampler.sample`; what was begun goes on with the next call.
        """
        wait = Wait(logger, timeout_s, SampleTimeout)
        if self._begun is None:
            self._begun = self._next_draw(num_batches, learner_steps, is_exponent, wait)
            self._number += 1
        draw = self._begun
        quota = share_of(draw.quota, self._rank, self._size)
        while (answers := self._answers(draw, quota, wait)) is None:
            wait.check("sampling waits: a shard has lost transitions of this draw")
            wait.sleep(RETRY_PERIOD_S)
        self._begun = None
        batches = merge_samples(answers, quota, draw.is_exponent, is_scaled=False)
        self._sampler.newest_effective_size = effective_sample_size(batches[-1].is_weight)
        return batches

    def update_priorities(self, batches: Sequence[SampledBatch], priority: Sequence[NDArray]) -> None:
        """Send new priorities of drawn rows, as `ReplaySampler.update_priorities`."""
        self._sampler.update_priorities(batches, priority)

    def _next_draw(self, num_batches: int, learner_steps: int, is_exponent: float, wait: Wait) -> Draw:
        if self._leads:
            quota = self._admitted(num_batches, learner_steps, wait)[None].repeat(num_batches, axis=0)
            limit = self._sampler.insert_limit_per_task
            self._board.post(self._number, draw := Draw(quota, learner_steps, limit, is_exponent))
            return draw
        while (read := self._board.read(self._number, wait.remaining_s)) is None:
            wait.check(f"sampling waits: the first learner has posted {self._number} draws")
        return read

    def _admitted(self, num_batches: int, learner_steps: int, wait: Wait) -> NDArray[np.int64]:
        poll_s = SHORTEST_POLL_S
        while (quota := self._sampler.admit(num_batches)) is None:
            self._sampler.refresh(learner_steps)
            wait.check(f"sampling waits: {self._sampler.blocker(num_batches)}")
            wait.sleep(poll_s)
            poll_s = min(2 * poll_s, LONGEST_POLL_S)
        return quota

    def _answers(self, draw: Draw, quota: NDArray[np.int64], wait: Wait) -> list[ShardSample] | None:
        """Return the rows of all shards; None if one has lost rows that were to be drawn."""
        call = ("sample", quota, draw.learner_steps, draw.insert_limit_per_task)
        answers = []
        asked_at = time.monotonic()
        for shard, first_try in enumerate(self._calls.submit(*call)):
            try:
                answer: ShardSample = self._calls.insist(shard, first_try, call, wait)
            except TableEmpty:
                if self._leads:
                    self._sampler.refresh(draw.learner_steps)
                    self._sampler.check_not_gone()
                return None
            if self._leads and self._sampler.record(shard, answer.stats, asked_at):
                return None
            answers.append(answer)
        return answers
