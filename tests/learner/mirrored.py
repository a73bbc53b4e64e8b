"""A replay service with its mirror, for the tests of both."""

from __future__ import annotations

import numpy as np
import torch

from learner.mirror_feed import MirrorFeed
from learner.mirror_source import MirrorSource, MirrorUpdate
from learner.replay_mirror import ReplayMirror
from learner.sac import SacLearner
from replay_service.task_priority import task_quotas
from tests.learner.conftest import Replay

QUOTA = np.array([20, 3, 1])
BETA = torch.tensor(0.7, dtype=torch.float64)


class Mirrored:
    """The mirror of a replay service of two shards."""

    def __init__(self, replay: Replay, device: torch.device | None = None, seed: int = 0) -> None:
        plan = replay.plan
        self.replay, self.device = replay, device or torch.device("cpu")
        capacity = plan.replay.capacity_per_task
        self.mirror = ReplayMirror(plan.spec, capacity, plan.sampling, 1, self.device, seed, plan.gamma)
        self.feed = MirrorFeed(plan, replay.sampler, self.mirror)

    def fetch(self) -> None:
        """Bring the mirror up to date."""
        while True:
            for answer in self.feed.fetch(0):
                self.feed.apply(answer)
            if not self.feed.is_behind:
                return

    def set_priorities(self, seed: int) -> None:
        """Give every row that a few draws hit a priority of its own, in the mirror and by it in the shards."""
        generator = torch.Generator(self.device).manual_seed(seed)
        quota = torch.tensor(task_quotas(np.full(3, 1 / 3), 24, 0), device=self.device)
        for _ in range(40):
            draw = self.mirror.draw(quota, BETA)
            priority = torch.rand(24, generator=generator, device=self.device).square()
            self.mirror.set_priorities(draw, priority)
        self.feed.send_priorities()

    def source(
        self, learner: SacLearner, total_updates: int, uses_thread: bool, uses_graph: bool = False
    ) -> tuple[MirrorSource, MirrorUpdate]:
        """Build a source of updates, and the update."""
        sampling = self.replay.plan.sampling
        update = MirrorUpdate(learner, self.mirror, sampling, total_updates, uses_graph)
        sampler = self.replay.sampler
        steps = learner.learner_steps
        return MirrorSource(sampler, self.feed, update, 4, steps, uses_thread), update
