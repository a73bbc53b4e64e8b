"""A non-finite loss stops before the optimizer step and names task and step, on the CPU and latched on a device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from learner.finite_guard import FiniteGuard, NonFiniteLossError
from learner.sac import SacLearner

GROUP_SIZES = (3, 4, 3)
CPU = torch.device("cpu")


def _assert_same(a: Any, b: Any) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            _assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        for x, y in zip(a, b, strict=True):
            _assert_same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30], ids=["nan", "inf", "overflow"])
def test_non_finite_critic_loss_stops(value: float, make_learner: Callable, make_batch: Callable) -> None:
    learner: SacLearner = make_learner()
    for i in range(2):
        learner.update(make_batch(GROUP_SIZES, seed=i))
    parts = ("actor", "critic", "target_critic", "actor_optimizer", "critic_optimizer", "alpha_optimizer")
    before = copy.deepcopy({name: learner.state_dict()[name] for name in parts})
    batch = make_batch(GROUP_SIZES, seed=9)
    reward = batch.reward.clone()
    reward[4] = value  # a row of task 1
    with pytest.raises(NonFiniteLossError, match="critic loss of task-1 at learner step 3"):
        learner.update(batch._replace(reward=reward))
    _assert_same({name: learner.state_dict()[name] for name in parts}, before)


def test_non_finite_actor_loss_stops(make_learner: Callable, make_batch: Callable) -> None:
    learner: SacLearner = make_learner()
    learner.update(make_batch(GROUP_SIZES))
    before = copy.deepcopy(learner.actor.state_dict())
    with torch.no_grad():
        learner.log_alpha[2] = float("nan")
    batch = make_batch(GROUP_SIZES)
    batch.terminated.fill_(True)  # the critic's target does not use alpha then, but nan * 0 is nan
    with pytest.raises(NonFiniteLossError, match="task-2 at learner step 2"):
        learner.update(batch)
    _assert_same(learner.actor.state_dict(), before)


def test_tripped_guard_holds_fused_optimizers() -> None:
    """As on a GPU, where the guard is read later: parameters, moments and step count do not change."""
    guard = FiniteGuard(["a", "b"], CPU)
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = guard.guard(torch.optim.Adam([parameter], lr=0.1, fused=True))
    parameter.grad = torch.ones(3)
    optimizer.step()
    before = copy.deepcopy((parameter.detach(), optimizer.state_dict()["state"]))
    guard.tripped.fill_(1.0)
    parameter.grad = torch.full((3,), float("nan"))
    optimizer.step()
    _assert_same((parameter.detach(), optimizer.state_dict()["state"]), before)


def test_first_failure_is_the_one_reported() -> None:
    guard = FiniteGuard(["a", "b"], CPU)
    bad, good = torch.tensor([1.0, float("nan")]), torch.ones(2)
    with pytest.raises(NonFiniteLossError, match="critic loss of b at learner step 7"):
        guard.check("critic", 7, bad, torch.tensor(1.0))
    with pytest.raises(NonFiniteLossError, match="critic loss of b at learner step 7"):
        guard.check("actor", 8, bad.flip(0), torch.tensor(1.0))
    guard.check("critic", 9, good, torch.tensor(1.0))
    with pytest.raises(NonFiniteLossError, match="step 7"):
        guard.raise_if_tripped()


def test_non_finite_gradient_of_finite_losses() -> None:
    guard = FiniteGuard(["a", "b"], CPU)
    with pytest.raises(NonFiniteLossError, match="actor gradient at learner step 3"):
        guard.check("actor", 3, torch.ones(2), torch.tensor(float("inf")))


def test_finite_losses_pass() -> None:
    guard = FiniteGuard(["a", "b"], CPU)
    guard.check("critic", 1, torch.tensor([1e38, -1.0]), torch.tensor(5.0))
    guard.raise_if_tripped()
