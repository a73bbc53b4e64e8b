"""The parts of fast environments against what they stand for: numpy, scipy and Meta-World's reward shapes."""

from __future__ import annotations

from typing import Any

import mujoco as untyped_mujoco
import numpy as np
import pytest
from metaworld.utils import reward_utils
from scipy.spatial.transform import Rotation

from actors import fast_numpy
from actors.fast_numpy import MatrixRotation, clip, hstack, norm, rotation_class
from actors.fast_rewards import tolerance

mujoco: Any = untyped_mujoco  # defined in C, of which pyright knows nothing


def assert_same(theirs: Any, ours: Any) -> None:
    """The same type and the same bits."""
    assert type(theirs) is type(ours), f"{theirs!r} is not {ours!r}"
    assert np.asarray(theirs).dtype == np.asarray(ours).dtype
    assert np.asarray(theirs).tobytes() == np.asarray(ours).tobytes(), f"{theirs!r} is not {ours!r}"


def test_quaternions_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    quats = rng.normal(size=(3000, 4))
    quats[::3, rng.integers(4)] *= 1e-6  # near the seams between its four cases
    quats[1::3, 0] = 0
    for quat in quats / np.linalg.norm(quats, axis=1, keepdims=True):
        flat = np.empty(9)
        mujoco.mju_quat2Mat(flat, quat)
        matrix = flat.reshape(3, 3)
        assert_same(Rotation.from_matrix(matrix).as_quat(), MatrixRotation.from_matrix(matrix).as_quat())


@pytest.mark.parametrize("blas", [False, True], ids=["in order", "by BLAS"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_norms_are_those_of_numpy(size: int, blas: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if blas:
        monkeypatch.setattr(fast_numpy, "length", fast_numpy._length_by_blas)
    for vector in np.random.default_rng(1).normal(size=(1000, size)):
        assert_same(np.linalg.norm(vector), norm(vector))
        assert_same(np.linalg.norm(vector[0]), norm(vector[0]))


@pytest.mark.parametrize("number", [np.float32, np.float64, float, np.array], ids=lambda kind: kind.__name__)
def test_clipping_and_stacking_are_those_of_numpy(number: Any) -> None:
    for x in (-1.5, -1, -0.3, 0.1, 1, 7, np.nan):
        for bounds in ((-1, 1), (0.0, 0.2), (np.float64(0), 1), (-0.1, None)):
            assert_same(np.clip(number(x), *bounds), clip(number(x), *bounds))
        for arrays in ([number(x), number(2.0)], (np.ones(3), np.zeros(2)), (np.ones(1), number(x))):
            assert_same(np.hstack(arrays), hstack(arrays))


@pytest.mark.parametrize("sigmoid", ["long_tail", "gaussian", "hyperbolic"])
@pytest.mark.parametrize("number", [float, np.float64, np.float32])
def test_tolerances_are_those_of_the_library(sigmoid: Any, number: type) -> None:
    rng = np.random.default_rng(2)
    for x, low, width, margin in rng.uniform(0, 1, (1000, 4)):
        for m in (0.0, float(margin), margin):
            arguments: Any = {"bounds": (low, low + width), "margin": m, "sigmoid": sigmoid}
            assert_same(reward_utils.tolerance(number(x), **arguments), tolerance(number(x), **arguments))
    with pytest.raises(ValueError, match="Lower bound"):
        tolerance(0.5, bounds=(1.0, 0.0))
    with pytest.raises(ValueError, match="margin"):
        tolerance(0.5, margin=-1.0)


def test_another_scipy_is_used_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rotation_class() is MatrixRotation
    monkeypatch.setattr(MatrixRotation, "as_quat", lambda _: np.array([0.0, 0.0, 0.0, 1.0]))
    assert rotation_class() is Rotation
