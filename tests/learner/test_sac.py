"""One update against an independent plain implementation, row by row, and the update's properties."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from learner.batch import TensorBatch
from learner.config import SacConfig
from learner.contrastive import Triplets, draw_triplets
from learner.networks import NetworkInput
from learner.sac import SacLearner
from replay_service.types import TransitionSpec
from tests.learner.conftest import ACTION_DIM, OBS_DIM, VARIANTS, method_config
from tests.learner.plain_reference import plain_contrastive_loss, row_action, row_output

GROUP_SIZES = (3, 1, 4)
NO_CLIP = SacConfig(gradient_clip_norm=None, gamma=0.9, reward_scale=2.0, log_alpha_init=-0.7)
MEAN_OF_CRITICS = NO_CLIP.model_copy(update={"critic_value": "mean"})


class Draws:
    """The random numbers of a learner's next update, in the order in which it draws them."""

    def __init__(self, learner: SacLearner, batch: TensorBatch) -> None:
        generator = torch.Generator()
        generator.set_state(learner.generator.get_state())
        self.triples: list[tuple[int, int, int]] = []
        unique = learner.network.unique
        if unique.is_contrastive:
            per_anchor = unique.triplets_per_anchor
            self.triples = _valid(draw_triplets(batch.task_id, learner.spec.num_tasks, per_anchor, generator))
        shape = (batch.num_rows, ACTION_DIM)
        self.next_noise = torch.randn(shape, generator=generator)
        self.noise = torch.randn(shape, generator=generator)


def _valid(triplets: Triplets) -> list[tuple[int, int, int]]:
    columns = (triplets.anchor, triplets.positive, triplets.negative, triplets.weight)
    return [(a, p, n) for a, p, n, w in zip(*(c.tolist() for c in columns), strict=True) if w]


class Inputs(NamedTuple):
    """What the networks read in an update."""

    now: NetworkInput
    following: NetworkInput


def _plain_critic_loss(
    learner: SacLearner, batch: TensorBatch, inputs: Inputs, draws: Draws
) -> tuple[Tensor, Tensor]:
    """The critics' whole loss and the signed td error of every row."""
    alpha, bounds = math.exp(NO_CLIP.log_alpha_init), learner.log_std_bounds
    members: list[list[Tensor]] = [[], []]
    terms, td_errors = [], []
    for row in range(batch.num_rows):
        with torch.no_grad():
            output, _ = row_output(learner.actor, 0, inputs.following, row, None)
            action, log_prob = row_action(output, draws.next_noise[row], bounds)
            targets = [row_output(learner.target_critic, e, inputs.following, row, action)[0] for e in (0, 1)]
            soft = _critic_value(learner, targets) - alpha * log_prob
            y = 2.0 * batch.reward[row] + (0.0 if batch.terminated[row] else 0.9) * soft
        errors = []
        for e in (0, 1):
            q, unique = row_output(learner.critic, e, inputs.now, row, batch.action[row])
            errors.append(y - q[0])
            if unique is not None:
                members[e].append(unique)
        terms.append(batch.is_weight[row] * (errors[0] ** 2 + errors[1] ** 2))
        td_errors.append((errors[0] + errors[1]) / 2)
    loss = torch.stack(terms).mean()
    if draws.triples:
        tasks, config = batch.task_id.tolist(), learner.network.unique
        loss = loss + sum(plain_contrastive_loss(unique, tasks, draws.triples, config) for unique in members)
    return loss, torch.stack(td_errors).detach()


def _plain_actor_loss(
    actor: SacLearner, critic: SacLearner, batch: TensorBatch, inputs: Inputs, draws: Draws
) -> tuple[Tensor, Tensor]:
    """The actor's whole loss with the critics of `critic`, and log pi of every row."""
    alpha, terms, uniques, log_probs = math.exp(NO_CLIP.log_alpha_init), [], [], []
    for row in range(batch.num_rows):
        output, unique = row_output(actor.actor, 0, inputs.now, row, None)
        action, log_prob = row_action(output, draws.noise[row], actor.log_std_bounds)
        values = [row_output(critic.critic, e, inputs.now, row, action)[0] for e in (0, 1)]
        terms.append(alpha * log_prob - _critic_value(critic, values))
        log_probs.append(log_prob)
        if unique is not None:
            uniques.append(unique)
    loss = torch.stack(terms).mean()
    if draws.triples:
        tasks, config = batch.task_id.tolist(), actor.network.unique
        loss = loss + plain_contrastive_loss(uniques, tasks, draws.triples, config)
    return loss, torch.stack(log_probs).detach()


def _critic_value(learner: SacLearner, values: list[Tensor]) -> Tensor:
    return torch.min(*values)[0] if learner.sac.critic_value == "minimum" else (values[0] + values[1])[0] / 2


def _assert_gradients(network: torch.nn.Module, reference: torch.nn.Module, loss: Tensor) -> None:
    parameters = dict(reference.named_parameters())
    expected = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    for (name, parameter), grad in zip(network.named_parameters(), expected, strict=True):
        assert parameter.grad is not None and grad is not None, name
        torch.testing.assert_close(
            parameter.grad, grad, rtol=2e-3, atol=2e-5, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize(
    ("method", "sac"),
    [*((method, NO_CLIP) for method in VARIANTS), ("stars", MEAN_OF_CRITICS)],
    ids=[*VARIANTS, "mean-of-critics"],
)
def test_update_equals_the_plain_implementation(
    method: str,
    sac: SacConfig,
    make_learner: Callable[..., SacLearner],
    make_batch: Callable[..., TensorBatch],
) -> None:
    learner, batch = make_learner(method_config(method), sac), make_batch(GROUP_SIZES)
    for warm in range(3):  # away from the start, where slices are equal and targets are copies
        learner.update(make_batch(GROUP_SIZES, seed=10 + warm))
    with torch.no_grad():
        learner.log_alpha.fill_(NO_CLIP.log_alpha_init)
    before, draws = copy.deepcopy(learner), Draws(learner, batch)
    result = learner.update(batch)
    inputs = Inputs(learner.network_input(batch.obs, batch), learner.network_input(batch.next_obs, batch))

    critic_loss, td_error = _plain_critic_loss(before, batch, inputs, draws)
    torch.testing.assert_close(result.critic.td_error, td_error, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(result.priorities, td_error.abs(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(result.critic.loss + result.critic.contrastive_loss, critic_loss.detach())
    _assert_gradients(learner.critic, before.critic, critic_loss)

    actor_loss, log_prob = _plain_actor_loss(before, learner, batch, inputs, draws)
    assert result.actor is not None
    torch.testing.assert_close(result.actor.loss + result.actor.contrastive_loss, actor_loss.detach())
    _assert_gradients(learner.actor, before.actor, actor_loss)

    expected = torch.zeros(3)
    for row, task in enumerate(batch.task_id.tolist()):
        expected[task] -= (log_prob[row] - ACTION_DIM) / batch.num_rows
    torch.testing.assert_close(learner.log_alpha.grad, expected)


def test_target_critic_moves_by_tau(make_learner: Callable, make_batch: Callable) -> None:
    learner = make_learner()
    before = copy.deepcopy(learner.target_critic.state_dict())
    learner.update(make_batch(GROUP_SIZES))
    for name, new in learner.critic.state_dict().items():
        expected = 0.995 * before[name] + 0.005 * new
        torch.testing.assert_close(learner.target_critic.state_dict()[name], expected)
    assert not any(p.requires_grad for p in learner.target_critic.parameters())


def test_learning_rates_of_weights_mix_and_temperature(make_learner: Callable, make_batch: Callable) -> None:
    """Adam's first step is its step size wherever the gradient is not tiny."""
    sac = SacConfig(learning_rate=3e-3, mix_learning_rate=2e-3, temperature_learning_rate=1e-3)
    learner = make_learner(method_config("free-mix"), sac.model_copy(update={"log_alpha_init": -1.0}))
    before = copy.deepcopy(learner.critic.state_dict())
    learner.update(make_batch(GROUP_SIZES))
    after = learner.critic.state_dict()
    assert (after["mix"] - before["mix"]).abs().max().item() == pytest.approx(2e-3, rel=1e-2)
    assert (after["shared.0"] - before["shared.0"]).abs().max().item() == pytest.approx(3e-3, rel=1e-2)
    assert (learner.log_alpha + 1.0).abs().max().item() == pytest.approx(1e-3, rel=1e-2)


def test_adams_epsilon_is_that_of_every_optimizer(make_learner: Callable, make_batch: Callable) -> None:
    """An epsilon far above the gradients leaves steps of gradient / epsilon."""
    learner = make_learner(sac=SacConfig(adam_epsilon=1e6, gradient_clip_norm=None))
    before = copy.deepcopy(learner.state_dict())
    learner.update(make_batch(GROUP_SIZES))
    for network in (learner.actor, learner.critic):
        assert all(0 < p.grad.abs().max() < 1e3 for p in network.parameters())
    assert (learner.actor.mix - before["actor"]["mix"]).abs().max() < 1e-6
    assert (learner.critic.shared[0] - before["critic"]["shared.0"]).abs().max() < 1e-6
    assert (learner.log_alpha - before["log_alpha"]).abs().max() < 1e-6


@pytest.mark.parametrize("progress, factor", [(0.0, 1.0), (0.5, 0.6), (1.0, 0.2)])
def test_step_sizes_fall_over_the_run(
    progress: float, factor: float, make_learner: Callable, make_batch: Callable
) -> None:
    """Linearly to their end factor, w's too; Adam's first step is its step size, as above."""
    sac = SacConfig(learning_rate=3e-3, mix_learning_rate=2e-3, learning_rate_end_factor=0.2)
    learner = make_learner(method_config("free-mix"), sac)
    learner.anneal(progress)
    assert learner.learning_rate == pytest.approx(factor * 3e-3)
    before = copy.deepcopy(learner.critic.state_dict())
    learner.update(make_batch(GROUP_SIZES))
    after = learner.critic.state_dict()
    assert (after["mix"] - before["mix"]).abs().max().item() == pytest.approx(factor * 2e-3, rel=1e-2)
    assert (after["shared.0"] - before["shared.0"]).abs().max().item() == pytest.approx(
        factor * 3e-3, rel=1e-2
    )


def test_padding_of_the_action_neither_learns_nor_counts(make_batch: Callable) -> None:
    """Task 1 has one component of two: its entropy target is -1, and the output for the other has no effect."""
    spec = TransitionSpec(2, OBS_DIM, ACTION_DIM, action_dims=(2, 1))
    learner = SacLearner(method_config("mtmhsac"), SacConfig(), spec, ["a", "b"], torch.device("cpu"), seed=0)
    assert learner.temperatures.target_entropy.tolist() == [-2.0, -1.0]
    before = learner.actor.head.detach().clone()
    for seed in range(3):
        batch = make_batch((6, 6), seed)
        batch.action[batch.task_id == 1, 1] = 0.0
        learner.update(batch)
    moved = (learner.actor.head.detach() != before)[0].any(dim=1)  # bool[T, 2 A]: means, then log stds
    assert moved.tolist() == [[True] * 4, [True, False, True, False]]


def test_tasks_without_rows_do_not_change(make_learner: Callable, make_batch: Callable) -> None:
    learner = make_learner()
    before = learner.log_alpha.detach().clone()
    result = learner.update(make_batch((3, 0, 4)))
    assert result.critic.task_losses.isfinite().all()
    assert torch.equal(learner.log_alpha[1], before[1]) and not torch.equal(learner.log_alpha[0], before[0])
    assert "train/td_abs/task-1" not in result.metrics(learner.task_names)


def test_same_seed_same_weights_whatever_the_global_generator(
    make_learner: Callable, make_batch: Callable
) -> None:
    states = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        learner = make_learner(seed=5)
        for i in range(3):
            learner.update(make_batch(GROUP_SIZES, seed=i))
        states.append(learner.actor.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = make_learner(seed=6).actor.state_dict()
    assert not torch.equal(other["shared.0"], states[0]["shared.0"])


def test_metrics_have_the_documented_names(make_learner: Callable, make_batch: Callable) -> None:
    learner = make_learner()
    metrics = learner.update(make_batch(GROUP_SIZES)).metrics(learner.task_names)
    named = {
        "contrastive_active",
        "unique_within_share",
        "unique_rank_within_task",
        "unique_task_variance",
        "critic_loss",
        "actor_loss",
        "triplet_loss",
        "alpha/task-0",
        "td_abs/task-2",
        "q_mean",
        "entropy",
    }
    assert {f"train/{name}" for name in named} <= set(metrics)
    assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())
    assert 1.0 <= metrics["train/unique_effective_rank"] <= 6.0
    assert 0.0 < metrics["train/contrastive_active"] < 1.0


def test_entropy_of_each_task_is_that_of_its_own_rows(make_learner: Callable, make_batch: Callable) -> None:
    learner = make_learner()
    result = learner.update(make_batch((3, 0, 4)))
    metrics, entropy = result.metrics(learner.task_names), -result.actor.log_prob
    assert metrics["train/entropy/task-0"] == pytest.approx(entropy[:3].mean().item())
    assert metrics["train/entropy/task-2"] == pytest.approx(entropy[3:].mean().item())
    assert "train/entropy/task-1" not in metrics  # no rows


@pytest.mark.learning
def test_learns_an_action_per_task(make_learner: Callable, make_batch: Callable) -> None:
    """One-step tasks that want opposite actions from the same observations: within 0.2 of each after 400 updates."""
    wanted = torch.tensor([[0.5, -0.5], [-0.5, 0.5], [0.0, 0.0]])
    sac = SacConfig(learning_rate=3e-3, log_alpha_init=-3.0, gradient_clip_norm=None)
    learner = make_learner(method_config("stars"), sac)
    batch, generator = make_batch((32, 32, 32)), torch.Generator().manual_seed(0)
    for _ in range(400):
        obs = torch.randn(96, 5, generator=generator)
        action = torch.rand(96, 2, generator=generator) * 2 - 1
        reward = -(action - wanted[batch.task_id]).square().sum(1)
        ended = torch.ones(96, dtype=torch.bool)
        learner.update(batch._replace(obs=obs, action=action, reward=reward, terminated=ended))
    inputs = learner.network_input(torch.randn(96, 5, generator=generator), batch)
    mode = learner.actor(learner.actor.compose(), inputs).value_EBD[0, :, :2].tanh()
    error = (mode - wanted[batch.task_id]).abs().mean().item()
    assert error < 0.2, error


def test_number_of_names_must_fit(make_learner: Callable) -> None:
    with pytest.raises(AssertionError):
        SacLearner(
            method_config("stars"), SacConfig(), TransitionSpec(3, 5, 2), ["a"], torch.device("cpu"), 0
        )
