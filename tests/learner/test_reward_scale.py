"""Each task's own factor on its rewards: by the largest running mean, within bounds, restored exactly."""

from __future__ import annotations

import pytest
import torch

from learner.config import TaskRewardScaleConfig
from learner.reward_scale import RewardScale

CPU = torch.device("cpu")
TASK_ID = torch.tensor([0, 0, 1, 1])


def _scale(factor: float = 1.0, **config: object) -> RewardScale:
    return RewardScale(TaskRewardScaleConfig.model_validate({"enabled": True} | config), factor, 3, CPU)


def _factors(scale: RewardScale) -> torch.Tensor:
    assert scale.task_factors is not None
    return scale.task_factors


def test_without_own_factors_every_reward_is_scaled_alike() -> None:
    scale = _scale(0.5, enabled=False)
    scaled = scale(torch.tensor([1.0, -2.0, 30.0, 0.0]), TASK_ID)
    assert scale.task_factors is None
    torch.testing.assert_close(scaled, torch.tensor([0.5, -1.0, 15.0, 0.0]))


def test_mean_rewards_are_brought_to_the_reference() -> None:
    """From the first batch on: the running mean is free of its start at zero."""
    scale = _scale(0.1, reference=5.0, max_factor=100.0)
    scaled = scale(torch.tensor([1.0, -3.0, 8.0, 12.0]), TASK_ID)
    torch.testing.assert_close(scaled, torch.tensor([0.25, -0.75, 0.4, 0.6]))
    torch.testing.assert_close(_factors(scale), torch.tensor([2.5, 0.5, 1.0]))  # none seen of task 2


def test_a_factor_stays_within_its_bounds() -> None:
    scale = _scale(max_factor=4.0)
    scale(torch.tensor([1e-3, 1e-3, 1e3, 1e3]), TASK_ID)
    torch.testing.assert_close(_factors(scale), torch.tensor([4.0, 0.25, 1.0]))


def test_a_task_that_earns_nothing_keeps_factor_one() -> None:
    scale = _scale()
    assert scale(torch.zeros(4), TASK_ID).tolist() == [0.0] * 4
    assert _factors(scale).tolist() == [1.0] * 3


def test_factors_fall_as_a_task_earns_more_and_never_rise_again() -> None:
    scale = _scale(max_factor=100.0)
    factors = []
    for reward in (0.1, 6.0, 0.1):
        for _ in range(600):
            scale(torch.full((4,), reward), TASK_ID)
        factors.append(_factors(scale)[0].item())
    assert factors[0] == pytest.approx(50.0, rel=1e-3)
    assert factors[1] == pytest.approx(5 / 6, rel=0.02)
    assert factors[2] == factors[1]


def test_a_batch_without_rows_of_a_task_leaves_its_mean_alone() -> None:
    scale = _scale(max_factor=100.0)
    scale(torch.tensor([1.0, 1.0, 2.0, 2.0]), TASK_ID)
    before = _factors(scale).clone()
    for _ in range(50):
        scale(torch.tensor([1.0, 1.0]), torch.tensor([0, 0]))
    torch.testing.assert_close(_factors(scale), before)


def test_the_state_goes_on_exactly_and_an_older_run_has_none() -> None:
    scale, restored = _scale(), _scale()
    for i in range(5):
        scale(torch.full((4,), float(i)), TASK_ID)
    restored.load_state_dict({name: tensor.clone() for name, tensor in scale.state_dict().items()})
    reward = torch.tensor([9.0, 9.0, 1.0, 1.0])
    assert torch.equal(scale(reward, TASK_ID), restored(reward, TASK_ID))
    fresh = _scale()
    fresh.load_state_dict({})
    assert _factors(fresh).tolist() == [1.0] * 3
