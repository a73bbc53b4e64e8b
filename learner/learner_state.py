"""The state of a learner: what a checkpoint holds of it, by names that are a contract."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from learner.extreme_loss import ExtremeLossRule
from learner.optimizers import place_on_device
from learner.random_state import restore_generator
from learner.reward_scale import RewardScale

_log = logging.getLogger(__name__)


class RandomStream(NamedTuple):
    """A generator, and the seed that it begins anew from on another kind of device."""

    generator: torch.Generator
    seed: int


class LearnerState:
    """Everything that the next update depends on."""

    def __init__(
        self,
        parts: Mapping[str, Any],
        log_alpha: Tensor,
        rule: ExtremeLossRule,
        scale: RewardScale,
        random: RandomStream,
        steps_on_device: bool,
    ) -> None:
        """Take the parts of a learner.

        Args:
            parts: networks and optimizers by name; None where the configuration has none.
            steps_on_device: whether the optimizers keep their step sizes in tensors.
        """
        self._parts = {name: part for name, part in parts.items() if part is not None}
        self._log_alpha, self._rule, self._scale = log_alpha, rule, scale
        self._random, self._steps_on_device = random, steps_on_device

    def state_dict(self, learner_steps: int) -> dict[str, Any]:
        """Return tensors, numbers and containers only."""
        return {name: part.state_dict() for name, part in self._parts.items()} | {
            "log_alpha": self._log_alpha.detach(),
            "extreme_count": self._rule.counts.resets,
            "extreme_rule": self._rule.state_dict(),
            "reward_scale": self._scale.state_dict(),
            "generator": self._random.generator.get_state(),
            "learner_steps": learner_steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> int:
        """Take over a state and return its learner steps: bit for bit on the same kind of device and in the same mode.

        On another kind the random numbers begin anew, from the seed and the learner's steps.
        """
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
            if isinstance(part, torch.optim.Adam):
                place_on_device(part, self._steps_on_device)
        with torch.no_grad():
            self._log_alpha.copy_(state["log_alpha"])
            self._rule.counts.resets.copy_(state["extreme_count"])
            self._rule.load_state_dict(state.get("extreme_rule", {}))
            self._scale.load_state_dict(state.get("reward_scale", {}))
        steps = int(state["learner_steps"])
        if not restore_generator(self._random.generator, state["generator"], (self._random.seed, steps)):
            _log.warning("the checkpoint is of another kind of device: random numbers begin anew")
        return steps
