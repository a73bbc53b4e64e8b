"""Products of ragged groups equal the evaluation of each row on its own, and so do their gradients."""

from __future__ import annotations

import pytest
import torch

from learner.grouped_linear import group_sums, input_grad, product, weight_grad

ROWS = {
    "even": (4, 4, 4),
    "ragged": (1, 7, 3),
    "an empty task": (5, 0, 2),
    "one task": (6,),
    "one row each": (1, 1, 1),
}


def _operands(rows: tuple[int, ...], groups: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """x, weight and the gradient of their product."""
    generator, double = torch.Generator().manual_seed(0), torch.float64
    x = torch.randn(2, sum(rows), 5, generator=generator, dtype=double, requires_grad=True)
    weight = torch.randn(2, groups, 5, 4, generator=generator, dtype=double, requires_grad=True)
    return x, weight, torch.randn(2, sum(rows), 4, generator=generator, dtype=double)


def _row_by_row(x: torch.Tensor, weight: torch.Tensor, rows: tuple[int, ...]) -> torch.Tensor:
    group = [g for g, count in enumerate(rows) for _ in range(count)]
    if weight.shape[1] == 1:
        group = [0] * len(group)
    members = [torch.stack([x[e, b] @ weight[e, g] for b, g in enumerate(group)]) for e in range(2)]
    return torch.stack(members)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
@pytest.mark.parametrize("shared", [False, True])
def test_equals_row_by_row(rows: tuple[int, ...], shared: bool) -> None:
    x, weight, grad = _operands(rows, 1 if shared else len(rows))
    expected = _row_by_row(x, weight, rows)
    torch.testing.assert_close(product(x.detach(), weight.detach(), rows), expected.detach())
    expected_x, expected_weight = torch.autograd.grad(expected, [x, weight], grad)
    torch.testing.assert_close(input_grad(grad, weight.detach(), rows), expected_x)
    got_weight = torch.full_like(weight, torch.nan).detach()
    weight_grad(x.detach(), grad, got_weight, rows)
    torch.testing.assert_close(got_weight, expected_weight)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_input_that_the_members_share(rows: tuple[int, ...]) -> None:
    """Twin critics read one observation: an input that is expanded over the ensemble, not copied."""
    x, weight, _ = _operands(rows, len(rows))
    one = x[:1].detach().expand(2, -1, -1)
    torch.testing.assert_close(product(one, weight.detach(), rows), _row_by_row(one, weight.detach(), rows))


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_group_sums(rows: tuple[int, ...]) -> None:
    _, _, grad = _operands(rows, 1)
    expected = torch.stack([part.sum(1) for part in grad.split(rows, dim=1)], dim=1)
    torch.testing.assert_close(group_sums(grad, rows), expected)


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
