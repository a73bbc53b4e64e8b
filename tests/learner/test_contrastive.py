"""Triplets: never the anchor itself, never a negative of its own task; the loss against hand-worked numbers."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from learner.config import UniqueConfig
from learner.contrastive import OBJECTIVES, Triplets, contrastive_objective, draw_triplets, triplet_loss

GROUP_SIZES = {
    "even": (4, 4, 4),
    "ragged": (1, 9, 2, 5),
    "an empty task": (0, 3, 3),
    "an empty last task": (3, 3, 0),
    "single rows but one": (1, 1, 2),
}


def _draw(group_sizes: tuple[int, ...], per_anchor: int = 1, seed: int = 0) -> tuple[torch.Tensor, Triplets]:
    task_id = torch.repeat_interleave(torch.arange(len(group_sizes)), torch.tensor(group_sizes))
    return task_id, draw_triplets(task_id, len(group_sizes), per_anchor, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("group_sizes", GROUP_SIZES.values(), ids=GROUP_SIZES.keys())
@pytest.mark.parametrize("seed", range(5))
def test_partners_obey_the_rules(group_sizes: tuple[int, ...], seed: int) -> None:
    task_id, triplets = _draw(group_sizes, per_anchor=20, seed=seed)
    valid = triplets.weight > 0
    anchor, positive, negative = (t[valid] for t in triplets[:3])
    assert (anchor != positive).all()
    assert (task_id[anchor] == task_id[positive]).all()
    assert (task_id[anchor] != task_id[negative]).all()
    counts = torch.tensor(group_sizes)[task_id[triplets.anchor]]
    assert torch.equal(valid, counts > 1)
    torch.testing.assert_close(triplets.weight.sum(), torch.tensor(1.0))


def test_every_partner_is_drawn_equally_often() -> None:
    """4000 draws per anchor: counts of a uniform partner lie within 6 binomial standard deviations."""
    group_sizes, draws = (2, 5, 3), 4000
    _, triplets = _draw(group_sizes, per_anchor=draws)
    anchor = 4  # a row of task 1
    mine = triplets.anchor == anchor
    for partner, allowed in (
        (triplets.positive, {2, 3, 5, 6}),
        (triplets.negative, {0, 1, 7, 8, 9}),
    ):
        counts = torch.bincount(partner[mine], minlength=10)
        share = 1 / len(allowed)
        bound = 6 * (draws * share * (1 - share)) ** 0.5
        for row in range(10):
            expected = draws * share if row in allowed else 0
            assert abs(int(counts[row]) - expected) <= (bound if expected else 0), row


def test_one_task_has_no_triplet() -> None:
    _, triplets = _draw((6,))
    assert triplets.weight.sum() == 0
    features = torch.randn(2, 6, 3, requires_grad=True)
    loss = triplet_loss(features, triplets, 0.2)
    loss.backward()
    assert loss == 0 and features.grad is not None and not features.grad.any()


def test_loss_by_hand() -> None:
    """Anchor 0 at the origin, positive at distance 5, negative at distance 1; anchor 1 with distances 0 and 2."""
    features = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [3.0, 4.0], [3.0, 6.0]]])
    triplets = Triplets(
        torch.tensor([0, 1]), torch.tensor([1, 3]), torch.tensor([2, 4]), torch.tensor([0.5, 0.5])
    )
    loss = triplet_loss(features, triplets, margin=0.2)
    torch.testing.assert_close(loss, torch.tensor(0.5 * (0.2 + 5.0 - 1.0)))  # 0.2 + 0 - 2 < 0 adds nothing
    twice = triplet_loss(features.expand(2, -1, -1), triplets, margin=0.2)
    torch.testing.assert_close(twice, 2 * loss)


def test_gradient_by_hand() -> None:
    """Unit vectors: towards the positive (3, 4) / 5, away from the negative (0, 1)."""
    features = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]], requires_grad=True)
    triplets = Triplets(torch.tensor([0]), torch.tensor([1]), torch.tensor([2]), torch.tensor([1.0]))
    triplet_loss(features, triplets, margin=0.2).backward()
    expected = torch.tensor([[[-0.6, -0.8 + 1.0], [0.6, 0.8], [0.0, -1.0]]])
    torch.testing.assert_close(features.grad, expected)


def test_equal_features_have_a_finite_gradient() -> None:
    """The same transition may be drawn twice; the root of zero has no slope."""
    features = torch.ones(1, 3, 4, requires_grad=True)
    triplets = Triplets(torch.tensor([0]), torch.tensor([1]), torch.tensor([2]), torch.tensor([1.0]))
    triplet_loss(features, triplets, margin=0.2).backward()
    assert features.grad is not None and features.grad.isfinite().all()


def test_objectives_are_those_that_the_configuration_names() -> None:
    assert set(OBJECTIVES) == set(get_args(UniqueConfig.model_fields["objective"].annotation))


@pytest.mark.parametrize("off", [{"triplet_weight": 0.0}, {"enabled": False}])
def test_no_objective_where_it_is_off(off: dict) -> None:
    assert contrastive_objective(UniqueConfig(**off), num_tasks=3) is None


def test_the_objective_draws_as_configured_and_weights_its_loss() -> None:
    config = UniqueConfig(triplet_weight=0.5, triplet_margin=0.3, triplets_per_anchor=2)
    objective = contrastive_objective(config, num_tasks=3)
    assert objective is not None
    task_id, expected = _draw((4, 1, 3), per_anchor=2)
    drawn = objective.draw(task_id, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(drawn, expected, strict=True))
    features = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(objective.loss(features, drawn), 0.5 * triplet_loss(features, expected, 0.3))
