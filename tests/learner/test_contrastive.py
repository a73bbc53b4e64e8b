"""Contrastive objectives: triplets obey their rules, losses equal hand-worked numbers, the hinge spreads a task."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from learner.contrastive import (
    OBJECTIVES,
    Triplets,
    active_share,
    contrastive_objective,
    draw_triplets,
    hard_triplet_loss,
    info_nce_loss,
    supervised_contrastive_loss,
    triplet_loss,
    variance_hinge,
)
from learner.network_config import UniqueConfig

GROUP_SIZES = {
    "even": (4, 4, 4),
    "ragged": (1, 9, 2, 5),
    "an empty task": (0, 3, 3),
    "an empty last task": (3, 3, 0),
    "single rows but one": (1, 1, 2),
}


def _task_id(group_sizes: tuple[int, ...]) -> Tensor:
    return torch.repeat_interleave(torch.arange(len(group_sizes)), torch.tensor(group_sizes))


def _draw(group_sizes: tuple[int, ...], per_anchor: int = 1, seed: int = 0) -> tuple[Tensor, Triplets]:
    task_id = _task_id(group_sizes)
    return task_id, draw_triplets(task_id, len(group_sizes), per_anchor, torch.Generator().manual_seed(seed))


def _given(group_sizes: tuple[int, ...], *triples: tuple[int, int, int]) -> Triplets:
    """Chosen triplets instead of drawn ones."""
    anchor, positive, negative = torch.tensor(triples).T
    weight = torch.full((len(triples),), 1 / len(triples))
    return Triplets(anchor, positive, negative, weight, _task_id(group_sizes), torch.tensor(group_sizes))


def _unit(*shape: int, seed: int = 1) -> Tensor:
    features = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return features / features.norm(dim=-1, keepdim=True)


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
    assert triplets.group_sizes.tolist() == list(group_sizes)


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


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("group_sizes", [(6,), (0, 6, 0), (1, 1, 1), (1,)])
def test_without_partners_there_is_no_contrast(objective: str, group_sizes: tuple[int, ...]) -> None:
    """A batch of one task, and one of single rows: neither a loss nor a gradient, and no nan."""
    _, triplets = _draw(group_sizes)
    features = _unit(2, sum(group_sizes), 3).requires_grad_()
    loss = OBJECTIVES[objective](features, triplets, UniqueConfig())
    loss.backward()
    assert loss == 0 and features.grad is not None and not features.grad.any()


def test_triplet_loss_by_hand() -> None:
    """Anchor 0 at the origin, positive at distance 5, negative at distance 1; anchor 1 with distances 0 and 2."""
    features = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [3.0, 4.0], [3.0, 6.0]]])
    triplets = _given((5,), (0, 1, 2), (1, 3, 4))
    loss = triplet_loss(features, triplets, margin=0.2)
    torch.testing.assert_close(loss, torch.tensor(0.5 * (0.2 + 5.0 - 1.0)))  # 0.2 + 0 - 2 < 0 adds nothing
    twice = triplet_loss(features.expand(2, -1, -1), triplets, margin=0.2)
    torch.testing.assert_close(twice, 2 * loss)
    assert active_share(features.expand(2, -1, -1), triplets, margin=0.2) == 0.5
    assert active_share(features, triplets, margin=2.1) == 1.0
    assert active_share(features, triplets._replace(weight=torch.tensor([0.0, 1.0])), margin=0.2) == 0.0


def test_triplet_gradient_by_hand() -> None:
    """Unit vectors: towards the positive (3, 4) / 5, away from the negative (0, 1)."""
    features = torch.tensor([[[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]], requires_grad=True)
    triplet_loss(features, _given((3,), (0, 1, 2)), margin=0.2).backward()
    expected = torch.tensor([[[-0.6, -0.8 + 1.0], [0.6, 0.8], [0.0, -1.0]]])
    torch.testing.assert_close(features.grad, expected)


# Four rows on the circle, at 0 and 60 degrees (task 0), at 90 and 180 degrees (task 1). Chords: 60 degrees 1,
# 30 degrees 2 sin 15, 90 degrees sqrt 2, 120 degrees sqrt 3, 180 degrees 2. Cosines are those of the same angles.
ANGLES = torch.tensor([0.0, 60.0, 90.0, 180.0], dtype=torch.float64) * math.pi / 180
CIRCLE = torch.stack([ANGLES.cos(), ANGLES.sin()], dim=1)[None]
TWO = _task_id((2, 2))


def test_hard_triplet_loss_by_hand() -> None:
    """The nearest rows of the other task are 90, 30, 30 and 120 degrees away, the farthest of the own 60 and 90."""
    chord_30 = 2 * math.sin(math.pi / 12)
    terms = [
        max(0.0, 0.5 + 1 - math.sqrt(2)),
        0.5 + 1 - chord_30,
        0.5 + math.sqrt(2) - chord_30,
        0.5 + math.sqrt(2) - math.sqrt(3),
    ]
    assert terms[0] > 0
    loss = hard_triplet_loss(CIRCLE, TWO, margin=0.5)
    assert loss.item() == pytest.approx(sum(terms) / 4, rel=1e-9)
    assert hard_triplet_loss(CIRCLE.expand(2, -1, -1), TWO, 0.5).item() == pytest.approx(sum(terms) / 2)
    inactive = hard_triplet_loss(CIRCLE, TWO, margin=0.1).item()  # anchors 0 and 3 keep a margin of 0.1
    assert inactive == pytest.approx((terms[1] + terms[2] - 2 * 0.4) / 4)


def test_supervised_contrastive_loss_by_hand() -> None:
    """One positive each: -log of its share among the three others, cosines over the temperature 0.5."""
    scores = {angle: math.exp(math.cos(math.radians(angle)) / 0.5) for angle in (30, 60, 90, 120, 180)}
    terms = [
        scores[60] / (scores[60] + scores[90] + scores[180]),
        scores[60] / (scores[60] + scores[30] + scores[120]),
        scores[90] / (scores[90] + scores[90] + scores[30]),
        scores[90] / (scores[90] + scores[180] + scores[120]),
    ]
    expected = -sum(math.log(term) for term in terms) / 4
    assert supervised_contrastive_loss(CIRCLE, TWO, 0.5).item() == pytest.approx(expected, rel=1e-9)


def test_supervised_contrastive_loss_is_the_mean_over_all_positives() -> None:
    """Three rows of one task at one point, one of another opposite: each share is e / (2 e + 1 / e)."""
    features = torch.tensor([[[1.0, 0.0]] * 3 + [[-1.0, 0.0]]], dtype=torch.float64)
    expected = -math.log(math.e / (2 * math.e + 1 / math.e))
    loss = supervised_contrastive_loss(features, _task_id((3, 1)), temperature=1.0)
    assert loss.item() == pytest.approx(expected, rel=1e-9)  # the single row of task 1 is no anchor


def test_info_nce_loss_by_hand() -> None:
    """Rows of the anchor's own task other than the positive are no negatives."""
    features = torch.cat([CIRCLE, -CIRCLE[:, :1]], dim=1)  # a third row of task 1, at 180 degrees
    scores = {angle: math.exp(math.cos(math.radians(angle)) / 0.5) for angle in (30, 60, 90, 120, 180)}
    triplets = _given((2, 3), (0, 1, 2), (2, 3, 1))
    terms = [
        scores[60] / (scores[60] + scores[90] + 2 * scores[180]),
        scores[90] / (scores[90] + scores[90] + scores[30]),
    ]
    expected = -sum(math.log(term) for term in terms) / 2
    assert info_nce_loss(features, triplets, 0.5).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_gradients_are_those_of_the_values(objective: str) -> None:
    """Against finite differences, away from the corners of maximum and hinge."""
    config = UniqueConfig(triplet_weight=0.7, within_variance=0.9)
    built = contrastive_objective(config.model_copy(update={"objective": objective}), 3)
    assert built is not None
    _, triplets = _draw((3, 1, 4))
    features = _unit(2, 8, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: built.loss(f, triplets), features)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_equal_features_have_a_finite_gradient(objective: str) -> None:
    """The same transition may be drawn twice; the root of zero has no slope."""
    features = torch.full((1, 4, 4), 0.5, requires_grad=True)
    built = contrastive_objective(UniqueConfig.model_validate({"objective": objective}), 2)
    assert built is not None
    built.loss(features, _draw((2, 2))[1]).backward()
    assert features.grad is not None and features.grad.isfinite().all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_tells_tasks_apart_and_the_hinge_keeps_their_variance(objective: str) -> None:
    """On free unit vectors: at least half of the hinge's 0.3, where each objective alone makes a task one point."""
    between, within = _after_training(objective, within_variance=0.3)
    assert between > 0.5 and within > 0.15
    assert _after_training(objective, within_variance=0.0)[1] < 0.05


def _after_training(objective: str, within_variance: float) -> tuple[float, float]:
    """300 steps from directions drawn alike for three tasks: variance between, and least variance within."""
    config = UniqueConfig(triplet_weight=1.0, triplet_margin=1.0, within_variance=within_variance)
    built = contrastive_objective(config.model_copy(update={"objective": objective}), 3)
    assert built is not None
    task_id, generator = _task_id((20, 20, 20)), torch.Generator().manual_seed(0)
    raw = _unit(1, 60, 8).float().requires_grad_()
    optimizer = torch.optim.Adam([raw], lr=0.02)
    for _ in range(300):
        features = raw / raw.norm(dim=2, keepdim=True)
        optimizer.zero_grad()
        built.loss(features, built.draw(task_id, generator)).backward()
        optimizer.step()
    return _between_and_within(raw, task_id)


def _between_and_within(raw: Tensor, task_id: Tensor) -> tuple[float, float]:
    """Variance of the tasks' means, and the least variance within a task."""
    unit = (raw / raw.norm(dim=2, keepdim=True)).detach()[0]
    groups = [unit[task_id == task] for task in range(3)]
    means = torch.stack([rows.mean(0) for rows in groups])
    return float(means.var(0, correction=0).sum()), min(float(rows.var(0).sum()) for rows in groups)


def test_variance_hinge_by_hand() -> None:
    """Rows at 0 and 60 degrees: half of their squared chord, 0.5; at 90 and 180: 1; one row alone does not count."""
    features = torch.cat([CIRCLE, CIRCLE[:, :1]], dim=1)
    _, triplets = _draw((2, 2, 1))
    epsilon = 1e-4
    expected = (math.sqrt(0.7 + epsilon) - math.sqrt(0.5 + epsilon)) / 2
    assert variance_hinge(features, triplets, 0.7).item() == pytest.approx(expected, rel=1e-9)
    twice = variance_hinge(features.expand(2, -1, -1), triplets, 0.7)
    assert twice.item() == pytest.approx(2 * expected, rel=1e-9)


def test_variance_hinge_is_nothing_where_the_variance_is_enough() -> None:
    features = CIRCLE.clone().requires_grad_()
    loss = variance_hinge(features, _draw((2, 2))[1], 0.49)
    loss.backward()
    assert loss == 0 and features.grad is not None and not features.grad.any()


@pytest.mark.parametrize("spread", [1e-1, 1e-2, 1e-3])
def test_variance_hinge_spreads_a_collapsed_task(spread: float) -> None:
    """Rows move away from their mean, and hardly less so the nearer they are: the slope of the root."""
    rows = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64) + spread * _unit(1, 10, 3)
    features = (rows / rows.norm(dim=2, keepdim=True)).requires_grad_()
    variance_hinge(features, _draw((10,))[1], 0.3).backward()
    assert features.grad is not None
    rows = features.detach()
    away = rows - rows.mean(dim=1, keepdim=True)
    step = -features.grad + (features.grad * rows).sum(2, keepdim=True) * rows  # along the sphere
    assert (torch.nn.functional.cosine_similarity(step, away, dim=2) > 0.8).all()
    deviation = math.sqrt(float(away.square().sum()) / 9)
    strength = float(10 * step.norm(dim=2).mean())  # 1 where 1e-4 is small beside the variance
    assert strength == pytest.approx(deviation / math.sqrt(deviation**2 + 1e-4), rel=0.2)


def test_objectives_are_those_that_the_configuration_names() -> None:
    assert set(OBJECTIVES) == set(get_args(UniqueConfig.model_fields["objective"].annotation))


@pytest.mark.parametrize("off", [{"triplet_weight": 0.0}, {"enabled": False}])
@pytest.mark.parametrize("within_variance", [0.0, 0.3])
def test_no_objective_where_it_is_off(off: dict, within_variance: float) -> None:
    """The hinge is part of the contrastive loss: without it there is none."""
    assert contrastive_objective(UniqueConfig(within_variance=within_variance, **off), num_tasks=3) is None


LOSSES: dict[str, Callable[[Tensor, Triplets], Tensor]] = {
    "triplet": lambda features, triplets: triplet_loss(features, triplets, 0.3),
    "hard_triplet": lambda features, triplets: hard_triplet_loss(features, triplets.task_id, 0.3),
    "supcon": lambda features, triplets: supervised_contrastive_loss(features, triplets.task_id, 0.4),
    "infonce": lambda features, triplets: info_nce_loss(features, triplets, 0.4),
}


@pytest.mark.parametrize("objective", LOSSES)
def test_the_objective_draws_as_configured_and_weights_its_losses(objective: str) -> None:
    config = UniqueConfig(triplet_weight=0.5, triplet_margin=0.3, triplets_per_anchor=2, temperature=0.4)
    config = config.model_copy(update={"objective": objective, "within_variance": 0.99})
    built = contrastive_objective(config, num_tasks=3)
    assert built is not None
    task_id, expected = _draw((4, 1, 3), per_anchor=2)
    drawn = built.draw(task_id, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(drawn, expected, strict=True))
    features = _unit(2, 8, 4)
    contrast, hinge = LOSSES[objective](features, expected), variance_hinge(features, expected, 0.99)
    assert contrast > 0 and hinge > 0
    torch.testing.assert_close(built.loss(features, drawn), 0.5 * (contrast + hinge))
