"""The temperatures: their bounds, and the entropy that they hold."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from learner.config import SacConfig
from learner.sac import SacLearner
from replay_service.types import TransitionSpec
from tests.learner.conftest import ACTION_DIM, OBS_DIM, method_config

GROUP_SIZES = (3, 1, 4)


def test_log_alpha_without_bounds_rises_above_zero(make_learner: Callable, make_batch: Callable) -> None:
    bounds = {"log_alpha_min": None, "log_alpha_max": None}
    for limits, highest in (({}, 0.0), (bounds, 0.1)):
        settings = {"target_entropy": 50.0, "temperature_learning_rate": 0.1}
        sac = SacConfig.model_validate(settings | limits)
        learner = make_learner(sac=sac)
        learner.update(make_batch(GROUP_SIZES))
        assert learner.log_alpha.tolist() == pytest.approx([highest] * 3, abs=1e-3)


def test_temperature_stays_in_its_bounds(make_learner: Callable, make_batch: Callable) -> None:
    """A new policy has more entropy than -dim(A): alpha falls, until its bound."""
    sac = SacConfig(log_alpha_min=-0.02, temperature_learning_rate=1e-2)
    learner = make_learner(sac=sac)
    for _ in range(4):
        learner.update(make_batch(GROUP_SIZES))
    torch.testing.assert_close(learner.log_alpha.detach(), torch.full((3,), -0.02))


def test_entropy_target_follows_the_components_unless_it_is_given() -> None:
    spec = TransitionSpec(2, OBS_DIM, ACTION_DIM, action_dims=(2, 1))
    for sac, expected in (
        (SacConfig(target_entropy_per_component=-0.5), [-1.0, -0.5]),
        (SacConfig(target_entropy_per_component=-0.5, target_entropy=-3.0), [-3.0, -3.0]),
    ):
        learner = SacLearner(method_config("mtmhsac"), sac, spec, ["a", "b"], torch.device("cpu"), seed=0)
        assert learner.temperatures.target_entropy.tolist() == expected
