"""The stage clock: how long each part of a learner's updates takes, every moment counted once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from learner.sac import SacLearner

# What of a learner belongs to which stage; where one runs inside another, the inner one's time is its own.
_METHODS = {
    "_critic_target": "critic",
    "_critic_stage.update": "critic",
    "_actor_stage.update": "actor",
    "temperatures.update": "alpha",
    "_critic_stage.follow": "target",
    "objective.draw": "triplet",
    "objective.loss": "triplet",
}
_NETWORKS = ("actor", "critic", "target_critic")
_OPTIMIZERS = ("actor_optimizer", "critic_optimizer", "alpha_optimizer")


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class StageClock:
    """Times the stages of one learner while it is attached; waits for a GPU at every change of stage."""

    def __init__(self, learner: SacLearner) -> None:
        self.seconds: dict[str, float] = {}
        self.stage: str | None = None
        self._learner = learner
        self._since = 0.0
        self.reset()

    def reset(self) -> None:
        """Set every stage to zero."""
        stages = (*_METHODS.values(), "composition", "optimizer")
        self.seconds = dict.fromkeys(stages, 0.0)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Replace the learner's stage methods by timed ones."""
        learner = self._learner
        targets = [(*_method(learner, path), stage) for path, stage in _METHODS.items()]
        targets = [target for target in targets if target[0] is not None]  # an objective, where there is one
        for network in (getattr(learner, name) for name in _NETWORKS):
            targets += [(network, name, "composition") for name in ("compose", "set_gradients")]
        targets += [(getattr(learner, name), "step", "optimizer") for name in _OPTIMIZERS]
        for owner, name, stage in targets:
            setattr(owner, name, self._timed(getattr(owner, name), stage))
        try:
            yield
        finally:
            for owner, name, _ in targets:
                delattr(owner, name)  # the class's own method is there again

    def _timed(self, method: Callable[..., object], stage: str) -> Callable[..., object]:
        def timed(*args: object, **kwargs: object) -> object:
            outer = self._change(stage)
            try:
                return method(*args, **kwargs)
            finally:
                self._change(outer)

        return timed

    def _change(self, stage: str | None) -> str | None:
        wait_for(self._learner.device)
        now, outer = time.perf_counter(), self.stage
        if outer is not None:
            self.seconds[outer] += now - self._since
        self.stage, self._since = stage, now
        return outer


def _method(learner: SacLearner, path: str) -> tuple[Any, str]:
    """Return a part of the learner, or itself, and the name of a method."""
    part, _, name = path.rpartition(".")
    return (getattr(learner, part) if part else learner), name
