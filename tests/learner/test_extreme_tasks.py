"""A task with an extreme loss: masked everywhere together; w, its moments and the target's copy are reset."""

from __future__ import annotations

# Every network here has a mix, though its type says it may be None:
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false, reportArgumentType=false
import copy
from collections.abc import Callable

import pytest
import torch

from learner.batch import TensorBatch
from learner.config import ExtremeLossConfig, SacConfig
from learner.sac import SacLearner
from tests.learner.conftest import METHODS, method_config

GROUP_SIZES, EXTREME = (3, 4, 3), 1
ABSOLUTE = SacConfig(extreme_loss=ExtremeLossConfig(scale="none"))  # PaCo's: a reward alone can trip it
HAS_NO_MIX = ("unique-only", "mtsac", "mtmhsac", "plain-trunk-and-unique")


def _explode(batch: TensorBatch, tasks: tuple[int, ...] = (EXTREME,)) -> TensorBatch:
    extreme = torch.isin(batch.task_id, torch.tensor(tasks))
    return batch._replace(reward=torch.where(extreme, 1e4, batch.reward))


def _trained(make_learner: Callable[..., SacLearner], make_batch: Callable, **kwargs: object) -> SacLearner:
    learner = make_learner(**{"sac": ABSOLUTE} | kwargs)
    for i in range(3):
        learner.update(make_batch(GROUP_SIZES, seed=i))
    return learner


def _masked(learner: SacLearner) -> list[int]:
    return learner.extreme_rule.counts.masked.tolist()


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
    assert learner.extreme_rule.counts.resets.tolist() == [0, 1, 0]


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
    sac = SacConfig(mix_learning_rate=0.1, learning_rate=3e-3, extreme_loss=ExtremeLossConfig(scale="none"))
    learner = make_learner(sac=sac)
    start = learner.actor.mix.clone()
    for seed in range(6):
        batch = make_batch(GROUP_SIZES, seed)
        extreme = (batch.task_id == 1) & (seed % 2 == 1)
        learner.update(batch._replace(reward=torch.where(extreme, 1e4, batch.reward)))
        for network in (learner.actor, learner.critic):
            length = network.mix.detach().norm(dim=2)
            torch.testing.assert_close(length, torch.ones_like(length))
    assert learner.extreme_rule.counts.resets.tolist() == [0, 3, 0]
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
    assert _masked(learner) == [1, 1, 1] and not learner.extreme_rule.counts.resets.any()
    assert all(not p.grad.any() for p in learner.critic.parameters())
    assert torch.allclose(
        learner.critic.mix, before["critic"]["mix"], atol=1e-3
    )  # Adam's old momentum moves it
    assert torch.isfinite(learner.critic.mix).all()


def test_rule_can_be_turned_off(make_learner: Callable, make_batch: Callable) -> None:
    sac = SacConfig(extreme_loss=ExtremeLossConfig(enabled=False))
    learner = _trained(make_learner, make_batch, sac=sac)
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    assert _masked(learner) == [0, 0, 0]
    assert learner.critic_optimizer.state[learner.critic.mix]["exp_avg"][:, EXTREME].all()


@pytest.mark.parametrize("method", METHODS)
def test_rule_holds_for_every_method(method: str, make_learner: Callable, make_batch: Callable) -> None:
    learner = _trained(make_learner, make_batch, network=method_config(method))
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    assert _masked(learner) == [0, 1, 0]
    assert learner.extreme_rule.counts.resets.tolist() == [0, int(method not in HAS_NO_MIX), 0]


@pytest.mark.parametrize("gamma", [0.95, 0.99])
@pytest.mark.parametrize("method", ["stars", "mtmhsac"])
@pytest.mark.parametrize("reward", [1 / 50, -100.0, 5000.0])
def test_learning_from_scratch_trips_nothing(
    reward: float, method: str, gamma: float, make_learner: Callable, make_batch: Callable
) -> None:
    """The critics' first error is the reward itself; it is far below the values that rewards add up to."""
    sac = SacConfig(gamma=gamma, learning_rate=1e-2, gradient_clip_norm=None)
    learner = make_learner(method_config(method), sac)
    for seed in range(30):
        batch = make_batch(GROUP_SIZES, seed)
        learner.update(batch._replace(reward=torch.full_like(batch.reward, reward)))
    assert _masked(learner) == [0, 0, 0]


@pytest.mark.parametrize("reward", [1 / 50, -100.0])
@pytest.mark.parametrize("method", ["stars", "paco", "mtmhsac"])
def test_a_diverging_critic_is_masked(
    method: str, reward: float, make_learner: Callable, make_batch: Callable
) -> None:
    """The next observation is three times the observation, and so its value: targets run away from the critics."""
    sac = SacConfig(tau=1.0, learning_rate=0.03, gradient_clip_norm=None, log_alpha_init=-10.0)
    learner, batch = make_learner(method_config(method), sac), make_batch(GROUP_SIZES)
    batch = batch._replace(
        next_obs=3 * batch.obs,
        reward=torch.full_like(batch.reward, reward),
        terminated=torch.zeros_like(batch.terminated),
    )
    for _ in range(300):
        learner.update(batch)
    assert all(count > 0 for count in _masked(learner)), learner.extreme_rule.counts


@pytest.mark.parametrize(
    ("method", "num_tasks"), [("stars", 3), ("no-triplet", 1), ("unique-only", 3), ("mtmhsac", 3)]
)
def test_nobody_is_masked_for_ever(
    method: str, num_tasks: int, make_learner: Callable, make_batch: Callable
) -> None:
    """All tasks extreme, one task alone, no w: nothing can be reset, and every task learns again after the bound."""
    sac = SacConfig(extreme_loss=ExtremeLossConfig(scale="none", max_consecutive=4))
    learner = make_learner(method_config(method), sac, num_tasks=num_tasks)
    batch = make_batch(GROUP_SIZES[:num_tasks])
    batch = batch._replace(reward=torch.full_like(batch.reward, 100.0))
    moved = []
    for _ in range(6):
        result = learner.update(batch)
        moved.append(bool(result.critic.loss > 0))
    assert moved == [False] * 4 + [True] * 2
    assert _masked(learner) == [4] * num_tasks
    assert learner.extreme_rule.counts.resets.sum() == 0


def test_a_task_past_the_bound_is_no_source_of_a_reset(make_learner: Callable, make_batch: Callable) -> None:
    sac = SacConfig(extreme_loss=ExtremeLossConfig(scale="none", max_consecutive=1))
    learner = _trained(make_learner, make_batch, sac=sac)
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9), (0,)))
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9), (0, EXTREME)))  # the first takes part again
    learner.update(make_batch(GROUP_SIZES, seed=8))
    assert _masked(learner) == [1, 1, 0]
    for network in (learner.actor, learner.critic):
        torch.testing.assert_close(network.mix[:, EXTREME], network.mix[:, 2], rtol=0, atol=1e-3)


def test_metrics_count_maskings_and_resets_apart(make_learner: Callable, make_batch: Callable) -> None:
    learner = _trained(make_learner, make_batch, network=method_config("unique-only"))
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    result = learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    metrics = result.metrics(learner.task_names)
    assert metrics["train/extreme_resets"] == 0.0
    assert metrics["train/extreme_masked/task-1"] == metrics["train/extreme_updates/task-1"] == 2.0
    assert metrics["train/extreme_masked/task-0"] == 0.0


def test_state_goes_on_and_a_checkpoint_without_it_loads(
    make_learner: Callable, make_batch: Callable
) -> None:
    learner = _trained(make_learner, make_batch)
    learner.update(_explode(make_batch(GROUP_SIZES, seed=9)))
    state = copy.deepcopy(learner.state_dict())
    restored = make_learner(sac=ABSOLUTE)
    restored.load_state_dict(state)
    assert restored.extreme_rule.masked_in_a_row.tolist() == [0, 1, 0] and _masked(restored) == [0, 1, 0]
    assert torch.equal(restored.extreme_rule.largest_step, learner.extreme_rule.largest_step)
    del state["extreme_rule"]  # as before this state existed
    old = make_learner(sac=ABSOLUTE)
    old.load_state_dict(state)
    assert old.extreme_rule.counts.resets.tolist() == [0, 1, 0] and _masked(old) == [0, 0, 0]
