"""PaCo's extreme-loss rule by itself: which losses are extreme, and for how long."""

from __future__ import annotations

import pytest
import torch

from learner.config import ExtremeLossConfig
from learner.extreme_loss import ExtremeLossRule, draw_interpolation

EXTREME = 1


def _rule(gamma: float = 0.99, tasks: int = 3, **config: object) -> ExtremeLossRule:
    return ExtremeLossRule(ExtremeLossConfig.model_validate(config), gamma, torch.full((tasks,), 2))


def test_a_verdict_reads_nothing_on_the_host() -> None:
    """Tensors without content: whatever looks at one raises."""
    rule = ExtremeLossRule(ExtremeLossConfig(), 0.99, torch.full((3,), 2, device="meta"))
    rows = torch.empty(5, device="meta")
    tasks = torch.empty(3, device="meta")
    rule.observe(rows, rows.long(), tasks)
    assert rule.judge(tasks, tasks).masked.shape == (3,)


def test_absolute_threshold() -> None:
    rule, rows = _rule(scale="none"), torch.ones(3)
    assert rule.judge(torch.tensor([2999.0, 3000.0, 3001.0]), rows).healthy.tolist() == [True, True, False]
    assert not _rule(enabled=False).judge(torch.full((3,), 1e9), rows).masked.any()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_relative_threshold_follows_the_largest_reward_so_far(scale: float) -> None:
    """With rewards up to 2 and gamma 0.9 values reach 20: a tenth of 400 is the limit, whatever their unit."""
    rule, rows, no_entropy = _rule(gamma=0.9, tasks=2), torch.ones(2), torch.zeros(2)
    task_id = torch.tensor([0, 0, 1])
    rule.observe(scale * torch.tensor([0.5, -2.0, 1.0]), task_id, no_entropy)
    limits = scale**2 * torch.tensor([40.0, 10.0])
    assert rule.judge(0.99 * limits, rows).healthy.all()
    assert rule.judge(1.01 * limits, rows).masked.all()
    rule.observe(scale * torch.tensor([0.1, 0.1, 0.1]), task_id, no_entropy)
    assert rule.judge(0.99 * limits, rows).healthy.all()  # a maximum of all rewards, not of the newest


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_what_critics_of_zero_lose_at_the_start_is_not_extreme(gamma: float) -> None:
    rule = _rule(gamma=gamma, tasks=1)
    rule.observe(torch.tensor([-3.0]), torch.zeros(1, dtype=torch.int64), torch.zeros(1))
    assert rule.judge(torch.tensor([2 * 3.0**2]), torch.ones(1)).healthy.all()


def test_the_entropy_bonus_is_part_of_the_scale() -> None:
    """Before its first reward a task's values are what its entropy is worth: alpha 2 log 2 a step at most."""
    rule = _rule(gamma=0.0, tasks=1)
    rule.observe(torch.zeros(1), torch.zeros(1, dtype=torch.int64), torch.tensor([0.5]))
    assert rule.largest_step.item() == pytest.approx(0.5 * 2 * 0.6931, rel=1e-3)


def test_masked_at_most_so_often_in_a_row_then_until_healthy_once() -> None:
    rule, extreme, healthy = (
        _rule(tasks=1, scale="none", max_consecutive=3),
        torch.tensor([1e4]),
        torch.zeros(1),
    )
    rows = torch.ones(1)
    assert [bool(rule.judge(extreme, rows).masked) for _ in range(6)] == [True] * 3 + [False] * 3
    assert rule.judge(extreme, torch.zeros(1)).masked.item() is False  # no rows: no news
    assert bool(rule.judge(healthy, torch.zeros(1)).healthy) is False
    assert not rule.judge(extreme, rows).masked
    rule.judge(healthy, rows)
    assert rule.judge(extreme, rows).masked
    assert rule.counts.masked.tolist() == [4] and rule.counts.extreme.tolist() == [8]


def test_interpolation_is_convex_over_the_healthy() -> None:
    healthy = torch.tensor([True, False, True, True])
    weights = draw_interpolation(healthy, torch.Generator().manual_seed(0))
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    assert (weights[:, healthy] > 0).all() and not weights[:, EXTREME].any()
    assert not torch.allclose(weights[0], weights[1])  # each task draws its own
