"""Products of ragged groups equal those of each row on its own, and so do their gradients."""

from __future__ import annotations

import pytest
import torch

from learner.grouped_linear import GroupSizes, group_sums, input_grad, product, weight_grad
from learner.row_places import RowPlaces, row_places

GROUP_SIZES = {
    "even": (4, 4, 4),
    "ragged": (1, 7, 3),
    "an empty task": (5, 0, 2),
    "one task": (6,),
    "one row each": (1, 1, 1),
}


def _operands(group_sizes: tuple[int, ...], groups: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x, weight and the gradient of their product."""
    generator, double = torch.Generator().manual_seed(0), torch.float64
    x = torch.randn(2, sum(group_sizes), 5, generator=generator, dtype=double, requires_grad=True)
    weight = torch.randn(2, groups, 5, 4, generator=generator, dtype=double, requires_grad=True)
    return x, weight, torch.randn(2, sum(group_sizes), 4, generator=generator, dtype=double)


def _places(group_sizes: tuple[int, ...]) -> RowPlaces:
    task_id = torch.repeat_interleave(torch.arange(len(group_sizes)), torch.tensor(group_sizes))
    return row_places(task_id, len(group_sizes), max(group_sizes) + 2)


def _row_by_row(x: torch.Tensor, weight: torch.Tensor, group_sizes: tuple[int, ...]) -> torch.Tensor:
    group = [g for g, count in enumerate(group_sizes) for _ in range(count)]
    if weight.shape[1] == 1:
        group = [0] * len(group)
    members = [torch.stack([x[e, b] @ weight[e, g] for b, g in enumerate(group)]) for e in range(2)]
    return torch.stack(members)


@pytest.mark.parametrize("group_sizes", GROUP_SIZES.values(), ids=GROUP_SIZES.keys())
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("at_places", [False, True])
def test_equals_row_by_row(group_sizes: tuple[int, ...], shared: bool, at_places: bool) -> None:
    x, weight, grad = _operands(group_sizes, 1 if shared else len(group_sizes))
    expected = _row_by_row(x, weight, group_sizes)
    groups: GroupSizes = _places(group_sizes) if at_places else group_sizes
    torch.testing.assert_close(product(x.detach(), weight.detach(), groups), expected.detach())
    expected_x, expected_weight = torch.autograd.grad(expected, [x, weight], grad)
    torch.testing.assert_close(input_grad(grad, weight.detach(), groups), expected_x)
    got_weight = torch.full_like(weight, torch.nan).detach()
    weight_grad(x.detach(), grad, got_weight, groups)
    torch.testing.assert_close(got_weight, expected_weight)


@pytest.mark.parametrize("group_sizes", GROUP_SIZES.values(), ids=GROUP_SIZES.keys())
def test_input_that_the_members_share(group_sizes: tuple[int, ...]) -> None:
    """Twin critics read one observation: an input that is expanded over the ensemble, not copied."""
    x, weight, _ = _operands(group_sizes, len(group_sizes))
    one = x[:1].detach().expand(2, -1, -1)
    torch.testing.assert_close(
        product(one, weight.detach(), group_sizes), _row_by_row(one, weight.detach(), group_sizes)
    )


@pytest.mark.parametrize("group_sizes", GROUP_SIZES.values(), ids=GROUP_SIZES.keys())
def test_group_sums(group_sizes: tuple[int, ...]) -> None:
    _, _, grad = _operands(group_sizes, 1)
    expected = torch.stack([part.sum(1) for part in grad.split(group_sizes, dim=1)], dim=1)
    torch.testing.assert_close(group_sums(grad, group_sizes), expected)
    torch.testing.assert_close(group_sums(grad, _places(group_sizes)), expected)


def test_places_are_the_tasks_own_and_padding_is_of_the_batch() -> None:
    places = _places((2, 0, 3))
    assert places.place.tolist() == [0, 1, 10, 11, 12] and places.group_sizes == (5, 5, 5)
    assert places.task_id.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert places.source[places.place].tolist() == [0, 1, 2, 3, 4]
    assert places.source.min() >= 0 and places.source.max() < 5


def test_a_part_of_a_matrix_is_used_in_place() -> None:
    """Layers multiply with the matrix less its bias, and write gradients into a part of one."""
    x, weight, grad = _operands((3, 2), 2)
    wide = torch.zeros(2, 2, 9, 4, dtype=torch.float64)
    wide[:, :, 1:6] = weight.detach()
    part = wide[:, :, 1:6]
    torch.testing.assert_close(
        product(x.detach(), part, (3, 2)), product(x.detach(), weight.detach(), (3, 2))
    )
    weight_grad(x.detach(), grad, part, (3, 2))
    assert part.any() and not wide[:, :, 0].any() and not wide[:, :, 6:].any()
