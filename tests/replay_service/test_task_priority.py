"""Task shares and whole-row quotas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replay_service.config import TaskPriorityConfig
from replay_service.task_priority import task_probability, task_quotas


@pytest.mark.parametrize(
    ("success_rate", "expected"),
    [
        pytest.param([np.nan, np.nan], [0.5, 0.5], id="nothing is known"),
        pytest.param([0.0, np.nan], [0.5, 0.5], id="one known task has what is left"),
        pytest.param([np.nan, 1.0, 0.0], [1 / 3, 0.5 / 3, 0.5], id="unknown: 1 / T; the rest by the formula"),
        pytest.param([np.nan, 0.5, 0.7, np.nan], [0.25, 0.3, 0.2, 0.25], id="0.6 to 0.4 of a half"),
        pytest.param([0.3, 0.3], [0.5, 0.5], id="equal tasks"),
        pytest.param([0.5, 0.7], [0.6, 0.4], id="proportional inside the bounds: 0.6 to 0.4"),
        pytest.param([0.0, 1.0], [0.75, 0.25], id="solved task at the low bound"),
        pytest.param([1.0, 1.0, 1.0, 0.0], [0.5 / 3] * 3 + [0.5], id="hard task at the high bound"),
        pytest.param([1.0, 0.0, 0.0, 0.0], [0.125] + [0.875 / 3] * 3, id="low bound, the rest shares"),
    ],
)
def test_shares(success_rate: list[float], expected: list[float]) -> None:
    share = task_probability(np.array(success_rate), TaskPriorityConfig())
    np.testing.assert_allclose(share, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("exponent", "expected"), [(0.0, [0.5, 0.5]), (1.0, [0.6, 0.4]), (2.0, [9 / 13, 4 / 13])]
)
def test_the_exponent_sharpens_the_shares(exponent: float, expected: list[float]) -> None:
    """Weights 0.6 and 0.4, to the power."""
    config = TaskPriorityConfig(exponent=exponent)
    np.testing.assert_allclose(task_probability(np.array([0.5, 0.7]), config), expected, rtol=1e-12)


@settings(deadline=None, derandomize=True)
@given(success_rate=st.lists(st.floats(0, 1), min_size=1, max_size=50), per_task=st.integers(2, 200))
def test_quotas_keep_the_caps_of_the_shares(success_rate: list[float], per_task: int) -> None:
    config = TaskPriorityConfig()
    batch = per_task * len(success_rate)
    quota = task_quotas(task_probability(np.array(success_rate), config), batch, config.quota_floor)
    assert quota.sum() == batch
    assert quota.max() <= max(np.ceil(config.clip_high * per_task - 1e-9), config.quota_floor)
    assert quota.min() >= max(np.floor(config.clip_low * per_task + 1e-9), config.quota_floor)


def test_disabled_is_uniform() -> None:
    share = task_probability(np.array([0.0, 1.0]), TaskPriorityConfig(enabled=False))
    assert share.tolist() == [0.5, 0.5]


@settings(deadline=None, derandomize=True)
@given(
    success_rate=st.lists(st.floats(0, 1), min_size=1, max_size=50),
    low=st.floats(0.01, 1),
    high=st.floats(1, 10),
    offset=st.floats(1e-3, 2),
)
def test_bounds_hold_after_renormalising(
    success_rate: list[float], low: float, high: float, offset: float
) -> None:
    rates = np.array(success_rate)
    config = TaskPriorityConfig(clip_low=low, clip_high=high, offset=offset)
    share = task_probability(rates, config) * len(rates)
    assert share.sum() == pytest.approx(len(rates), rel=1e-12)
    assert share.min() >= low * (1 - 1e-9) and share.max() <= high * (1 + 1e-9)
    assert np.all(np.diff(share[np.argsort(rates)]) <= 1e-9)  # a better task never gets more
    inside = (share > low * (1 + 1e-9)) & (share < high * (1 - 1e-9))
    ratio = share[inside] / (1 - rates[inside] + offset)
    np.testing.assert_allclose(ratio, ratio[:1].repeat(len(ratio)), rtol=1e-9)


@pytest.mark.parametrize(
    ("share", "batch", "floor", "expected"),
    [
        pytest.param([0.1] * 10, 1280, 2, [128] * 10, id="even"),
        pytest.param([0.5, 0.3, 0.2], 10, 0, [5, 3, 2], id="whole shares"),
        pytest.param([0.55, 0.25, 0.2], 10, 0, [6, 2, 2], id="largest remainder, ties to the first task"),
        pytest.param([0.98, 0.01, 0.01], 10, 2, [6, 2, 2], id="floor, paid by the greatest"),
        pytest.param([0.4, 0.4, 0.2], 6, 2, [2, 2, 2], id="floor fills the batch"),
        pytest.param([1 / 3] * 3, 10, 0, [4, 3, 3], id="thirds"),
    ],
)
def test_quotas(share: list[float], batch: int, floor: int, expected: list[int]) -> None:
    assert task_quotas(np.array(share), batch, floor).tolist() == expected


@settings(deadline=None, derandomize=True)
@given(weight=st.lists(st.floats(1e-3, 1), min_size=1, max_size=50), per_task=st.integers(2, 200))
def test_quotas_sum_to_the_batch_keep_the_floor_and_stay_within_a_row(
    weight: list[float], per_task: int
) -> None:
    share = np.array(weight) / sum(weight)
    batch = per_task * len(share)
    quota = task_quotas(share, batch, 2)
    assert quota.sum() == batch and quota.min() >= 2
    free = task_quotas(share, batch, 0)
    assert np.all(np.abs(free - share * batch) < 1)


def test_a_floor_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must fit the batch, got 3 rows for each of 4 tasks in 10"):
        task_quotas(np.full(4, 0.25), 10, 3)


@settings(deadline=None, derandomize=True)
@given(success_rate=st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), min_size=1, max_size=50))
def test_unknown_tasks_keep_the_uniform_share_and_rows(success_rate: list[float]) -> None:
    rates, config, per_task = np.array(success_rate), TaskPriorityConfig(), 64
    share = task_probability(rates, config)
    quota = task_quotas(share, per_task * len(rates), config.quota_floor)
    unknown = np.isnan(rates)
    assert (share[unknown] == 1 / len(rates)).all() and (quota[unknown] == per_task).all()
    assert share.sum() == pytest.approx(1.0, rel=1e-12)
    known = share[~unknown] * len(rates)
    assert ((known >= 0.5 - 1e-9) & (known <= 2.0 + 1e-9)).all()


@pytest.mark.parametrize("num_tasks", [1, 2, 50, 1000])
def test_shares_equal_the_definition(num_tasks: int) -> None:
    """clip(c w, low, high) with c found by bisection."""
    config, rng = TaskPriorityConfig(exponent=2.0, offset=0.01), np.random.default_rng(num_tasks)
    rates = rng.choice([0.0, 0.25, 0.9, 1.0], num_tasks) * rng.uniform(0.5, 1.0, num_tasks)
    weight, low, high = (1 - rates + 0.01) ** 2, 0.5 / num_tasks, 2.0 / num_tasks
    bottom, top = 0.0, high / weight.min()
    for _ in range(200):
        middle = (bottom + top) / 2
        bottom, top = (middle, top) if np.clip(middle * weight, low, high).sum() < 1 else (bottom, middle)
    expected = np.clip(top * weight, low, high)
    np.testing.assert_allclose(task_probability(rates, config), expected, rtol=1e-9)


@settings(deadline=None, derandomize=True)
@given(quota=st.lists(st.integers(0, 30), min_size=1, max_size=20), floor=st.integers(0, 8))
def test_the_greatest_pay_for_the_floor_row_by_row(quota: list[int], floor: int) -> None:
    """Shares of whole rows, so that the floor alone decides; against one row at a time."""
    batch = sum(quota) + floor * len(quota)
    shares = (np.array(quota) + floor) / max(batch, 1)
    shares[0] += 1 - shares.sum()
    lifted = floor + min(3, sum(quota) // len(quota))
    expected = task_quotas(shares, batch, 0)
    missing = np.maximum(lifted - expected, 0)
    expected += missing
    for _ in range(missing.sum()):
        expected[np.argmax(expected)] -= 1
    assert task_quotas(shares, batch, lifted).tolist() == expected.tolist()


def test_the_sharpest_shares_that_can_be_configured_are_finite() -> None:
    config = TaskPriorityConfig(offset=1e-6, exponent=10, clip_low=0.5, clip_high=2)
    share = task_probability(np.array([1.0, 0.0, 0.9, np.nan]), config)
    np.testing.assert_allclose(share, [0.125, 0.5, 0.125, 0.25])
