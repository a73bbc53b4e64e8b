"""PaCo's extreme-loss rule: masked everywhere together; w, its moments and the target's copy are reset."""

from __future__ import annotations

# Every network here has a mix, though its type says it may be None:
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportArgumentType=false
import copy
from collections.abc import Callable

import torch

from learner.batch import TensorBatch
from learner.config import ExtremeLossConfig, SacConfig
from learner.extreme_loss import draw_interpolation, healthy_tasks
from learner.sac import SacLearner
from tests.learner.conftest import METHODS, method_config

GROUP_SIZES, EXTREME = (3, 4, 3), 1


def _explode(batch: TensorBatch, tasks: tuple[int, ...] = (EXTREME,)) -> TensorBatch:
    extreme = torch.isin(batch.task_id, torch.tensor(tasks))
    return batch._replace(reward=torch.where(extreme, 1e4, batch.reward))


def _trained(make_learner: Callable[..., SacLearner], make_batch: Callable, **kwargs: object) -> SacLearner:
    learner = make_learner(**kwargs)
    for i in range(3):
        learner.update(make_batch(GROUP_SIZES, seed=i))
    return learner


def test_threshold() -> None:
    losses = torch.tensor([2999.0, 3000.0, 3001.0])
    assert healthy_tasks(losses, 3000.0).tolist() == [True, True, False]
    assert healthy_tasks(losses, None).all()


def test_interpolation_is_convex_over_the_healthy() -> None:
    healthy = torch.tensor([True, False, True, True])
    weights = draw_interpolation(healthy, torch.Generator().manual_seed(0))
    torch.testing.assert_close(weights.sum(1), torch.ones(4))
    assert (weights[:, healthy] > 0).all() and not weights[:, EXTREME].any()
    assert not torch.allclose(weights[0], weights[1])  # each task draws its own


def test_mix_is_reset_to_a_mixture_of_healthy_tasks(make_learner: Callable, make_batch: Callable) -> None:
    learner = _trained(make_learner, make_batch, network=method_config("free-mix"))
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    for network in (learner.actor, learner.critic):
        mix = network.mix.detach()
        lower, upper = mix[:, [0, 2]].amin(1), mix[:, [0, 2]].amax(1)
        assert (mix[:, EXTREME] >= lower - 1e-6).all() and (mix[:, EXTREME] <= upper + 1e-6).all()
        # In K = 3 dimensions a point of the segment between two others: the residual along it vanishes.
        direction, offset = mix[:, 2] - mix[:, 0], mix[:, EXTREME] - mix[:, 0]
        share = (offset * direction).sum(-1, keepdim=True) / direction.square().sum(-1, keepdim=True)
        torch.testing.assert_close(offset, share * direction, rtol=1e-3, atol=1e-6)
    assert learner.extreme_count.tolist() == [0, 1, 0]


def test_a_mix_of_length_one_restarts_between_the_healthy_tasks(
    make_learner: Callable, make_batch: Callable
) -> None:
    """On the arc between two others: a combination of theirs with weights of at least zero, of length one."""
    learner = _trained(make_learner, make_batch)
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    for network in (learner.actor, learner.critic):
        for mix in network.mix.detach():
            solved = torch.linalg.lstsq(mix[[0, 2]].T, mix[EXTREME, :, None])
            weights = solved.solution[:, 0]
            assert (weights >= 0).all()
            torch.testing.assert_close(weights @ mix[[0, 2]], mix[EXTREME], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(mix.norm(dim=1), torch.ones(3))


def test_w_keeps_length_one_through_updates_and_resets(make_learner: Callable, make_batch: Callable) -> None:
    sac = SacConfig(mix_learning_rate=0.1, learning_rate=3e-3)
    learner = make_learner(sac=sac)
    start = learner.actor.mix.clone()
    for seed in range(6):
        batch = make_batch(GROUP_SIZES, seed)
        extreme = (batch.task_id == 1) & (seed % 2 == 1)
        learner.update(batch._replace(reward=torch.where(extreme, 1e4, batch.reward)))
        for network in (learner.actor, learner.critic):
            length = network.mix.detach().norm(dim=2)
            torch.testing.assert_close(length, torch.ones_like(length))
    assert learner.extreme_count.tolist() == [0, 3, 0]
    assert (learner.actor.mix - start).abs().amax(-1).min() > 0.05  # every task's w has moved


def test_moments_and_target_copy_follow(make_learner: Callable, make_batch: Callable) -> None:
    learner = _trained(make_learner, make_batch)
    old_target = learner.target_critic.mix.clone()
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    pairs = ((learner.actor, learner.actor_optimizer), (learner.critic, learner.critic_optimizer))
    for network, optimizer in pairs:
        for moment in ("exp_avg", "exp_avg_sq"):
            value = optimizer.state[network.mix][moment]
            assert not value[:, EXTREME].any()
            assert value[:, [0, 2]].all()
    assert torch.equal(learner.target_critic.mix[:, EXTREME], learner.critic.mix[:, EXTREME])
    torch.testing.assert_close(learner.target_critic.mix[:, 0], old_target[:, 0], rtol=0, atol=1e-4)


def test_extreme_task_is_masked_in_all_three_losses(make_learner: Callable, make_batch: Callable) -> None:
    """Gradients are those of the batch without the task's terms: its own parameters get none at all."""
    config = method_config("mtmhsac")  # a head per task shows whose rows the gradient came from
    learner = _trained(make_learner, make_batch, network=config)
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    for network in (learner.critic, learner.actor):
        assert not network.head.grad[:, EXTREME].any()
        assert network.head.grad[:, 0].any() and network.head.grad[:, 2].any()
    assert learner.log_alpha.grad[EXTREME] == 0 and learner.log_alpha.grad[0] != 0


def test_the_gradients_of_other_tasks_do_not_depend_on_the_masked_one(
    make_learner: Callable, make_batch: Callable
) -> None:
    """However extreme the masked task is, gradients are the same."""
    grads = []
    for reward in (1e4, 3e4):
        learner = _trained(make_learner, make_batch)
        batch = make_batch(GROUP_SIZES, seed=9)
        learner.update(batch._replace(reward=torch.where(batch.task_id == EXTREME, reward, batch.reward)))
        grads.append([p.grad.clone() for p in (*learner.critic.parameters(), *learner.actor.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


def test_no_reset_when_no_task_is_healthy(make_learner: Callable, make_batch: Callable) -> None:
    learner = _trained(make_learner, make_batch, network=method_config("paco"))
    before = copy.deepcopy(learner.state_dict())
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9), (0, 1, 2)))
    assert learner.extreme_count.tolist() == [1, 1, 1]
    assert all(not p.grad.any() for p in learner.critic.parameters())
    assert torch.allclose(
        learner.critic.mix, before["critic"]["mix"], atol=1e-3
    )  # Adam's old momentum moves it
    assert torch.isfinite(learner.critic.mix).all()


def test_rule_can_be_turned_off(make_learner: Callable, make_batch: Callable) -> None:
    sac = SacConfig(extreme_loss=ExtremeLossConfig(enabled=False))
    learner = _trained(make_learner, make_batch, sac=sac)
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    assert learner.extreme_count.sum() == 0
    assert learner.critic_optimizer.state[learner.critic.mix]["exp_avg"][:, EXTREME].all()


def test_rule_holds_for_every_method(make_learner: Callable, make_batch: Callable) -> None:
    for name in METHODS:
        learner = _trained(make_learner, make_batch, network=method_config(name))
        learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
        assert learner.extreme_count.tolist() == [0, 1, 0], name
