"""Options of an update: the actor's period and the tasks' own reward factors."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch

from learner.batch import TensorBatch
from learner.config import SacConfig
from learner.sac import SacLearner

GROUP_SIZES = (3, 1, 4)


def test_actor_and_temperatures_move_every_second_update(
    make_learner: Callable[..., SacLearner], make_batch: Callable[..., TensorBatch]
) -> None:
    """The critics move in each; metrics show the actor's newest step, and none before its first."""
    learner, actor_metrics = make_learner(sac=SacConfig(actor_every=2)), []
    for update in range(1, 5):
        before = copy.deepcopy(learner.state_dict())
        metrics = learner.update(make_batch((update, 2, 3), seed=update)).metrics(learner.task_names)
        actor_metrics.append(metrics.get("train/actor_loss"))
        after = learner.state_dict()
        assert torch.equal(before["log_alpha"], after["log_alpha"]) == bool(update % 2)
        for name, moves in (("actor", update % 2 == 0), ("critic", True), ("target_critic", True)):
            same = all(torch.equal(before[name][key], after[name][key]) for key in after[name])
            assert same != moves, (update, name)
    assert actor_metrics[0] is None
    assert actor_metrics[1] == actor_metrics[2] != actor_metrics[3]


def test_tasks_own_reward_factors_reach_the_targets_and_the_metrics(
    make_learner: Callable[..., SacLearner], make_batch: Callable[..., TensorBatch]
) -> None:
    """Rewards of 0.1 and of 10 give the same targets once both are brought to one mean; alpha has the same factor."""
    scale = {"task_reward_scale": {"enabled": True, "max_factor": 1000.0}}
    sac = SacConfig.model_validate(scale | {"log_alpha_init": -30.0, "log_alpha_min": None})
    results, factors, alphas = [], [], []
    for reward in (0.1, 10.0):
        learner, batch = make_learner(sac=sac), make_batch(GROUP_SIZES)
        result = learner.update(batch._replace(reward=torch.full_like(batch.reward, reward)))
        results.append(result.priorities)
        metrics = result.metrics(learner.task_names)
        factors.append(metrics["train/reward_factor/task-0"])
        alphas.append(metrics["train/alpha/task-0"])
    torch.testing.assert_close(*results)
    assert factors == pytest.approx([50.0, 0.5])
    assert alphas == pytest.approx([math.exp(-30.0) * factor for factor in factors])


def test_rows_of_several_steps_bring_their_own_discount(
    make_learner: Callable[..., SacLearner], make_batch: Callable[..., TensorBatch]
) -> None:
    """With gamma for every row nothing changes; another one moves the targets of the rows that bootstrap alone."""
    results = []
    batch, sac = make_batch(GROUP_SIZES), SacConfig(gamma=0.9)
    for discount in (None, 0.9, 0.81):
        rows = None if discount is None else torch.full_like(batch.reward, discount)
        results.append(make_learner(sac=sac).update(batch._replace(discount=rows)).critic.td_error)
    assert torch.equal(results[0], results[1])
    moved = results[0] != results[2]
    assert torch.equal(moved, ~batch.terminated) and moved.any()


def test_the_extreme_loss_rule_looks_at_rewards_per_step(
    make_learner: Callable[..., SacLearner], make_batch: Callable[..., TensorBatch]
) -> None:
    batch, learners = make_batch(GROUP_SIZES), [make_learner(sac=SacConfig(gamma=0.9)) for _ in range(2)]
    learners[0].update(batch)
    of_three = torch.full_like(batch.reward, 0.9**3)
    learners[1].update(batch._replace(reward=batch.reward * (1 + 0.9 + 0.81), discount=of_three))
    largest = [learner.extreme_rule.largest_step for learner in learners]
    torch.testing.assert_close(*largest)
