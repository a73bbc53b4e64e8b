"""Ragged groups equal the evaluation of each row on its own, forward and backward."""

from __future__ import annotations

import pytest
import torch

from learner.grouped_linear import grouped_linear

ROWS = {
    "even": (4, 4, 4),
    "ragged": (1, 7, 3),
    "an empty task": (5, 0, 2),
    "one task": (6,),
    "one row each": (1, 1, 1),
}


def _operands(rows: tuple[int, ...], groups: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, sum(rows), 5, generator=generator, dtype=dtype, requires_grad=True)
    weight = torch.randn(2, groups, 6, 4, generator=generator, dtype=dtype, requires_grad=True)
    return x, weight


def _row_by_row(x: torch.Tensor, weight: torch.Tensor, rows: tuple[int, ...]) -> torch.Tensor:
    group = [g for g, count in enumerate(rows) for _ in range(count)]
    if weight.shape[1] == 1:
        group = [0] * len(group)
    members = [
        torch.stack([x[e, b] @ weight[e, g, :-1] + weight[e, g, -1] for b, g in enumerate(group)])
        for e in range(2)
    ]
    return torch.stack(members)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
@pytest.mark.parametrize("shared", [False, True])
def test_equals_row_by_row(rows: tuple[int, ...], shared: bool) -> None:
    x, weight = _operands(rows, 1 if shared else len(rows), torch.float64)
    ours, reference = grouped_linear(x, weight, rows), _row_by_row(x, weight, rows)
    torch.testing.assert_close(ours, reference)
    direction = torch.randn(ours.shape, dtype=ours.dtype, generator=torch.Generator().manual_seed(1))
    for got, expected in zip(
        torch.autograd.grad(ours, [x, weight], direction),
        torch.autograd.grad(reference, [x, weight], direction),
        strict=True,
    ):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS.keys())
def test_expanded_input(rows: tuple[int, ...]) -> None:
    """Twin critics read one observation: an input that is expanded over the ensemble, not copied."""
    x, weight = _operands(rows, len(rows), torch.float32)
    one = x[:1].detach().requires_grad_()
    ours = grouped_linear(one.expand(2, -1, -1), weight, rows)
    reference = _row_by_row(one.expand(2, -1, -1), weight, rows)
    torch.testing.assert_close(ours, reference)
    (got,) = torch.autograd.grad(ours.square().sum(), [one])
    (expected,) = torch.autograd.grad(reference.square().sum(), [one])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_constants_get_no_gradient() -> None:
    x, weight = _operands((2, 3), 2, torch.float32)
    grouped_linear(x, weight.detach(), (2, 3)).sum().backward()
    assert x.grad is not None
    assert weight.grad is None
