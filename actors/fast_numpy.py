"""The few functions of numpy and scipy that Meta-World's rewards live on, quick for three numbers.

Each gives the very bits of the function it stands for: the same IEEE operations in the same order. What it is not
made for it passes on.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_FLOAT64 = np.dtype(np.float64)


def norm(x: Any, ord: Any = None, *args: Any, **kwargs: Any) -> Any:
    """`np.linalg.norm`, which for a vector is the root of BLAS's dot product with itself."""
    if args or kwargs or (ord is not None and ord != 2):
        return np.linalg.norm(x, ord, *args, **kwargs)
    if x.__class__ is np.ndarray and x.ndim == 1 and x.dtype is _FLOAT64:
        return np.float64(math.sqrt(x.dot(x)))
    if x.__class__ is np.float64:
        return np.float64(math.sqrt(x * x))
    return np.linalg.norm(x, ord)


class MatrixRotation:
    """`scipy.spatial.transform.Rotation` as the rewards use it: `from_matrix(matrix).as_quat()`."""

    __slots__ = ("_matrix",)

    def __init__(self, matrix: NDArray[np.float64]) -> None:
        self._matrix = matrix

    @staticmethod
    def from_matrix(matrix: NDArray[np.float64]) -> MatrixRotation:
        return MatrixRotation(matrix)

    def as_quat(self) -> NDArray[np.float64]:
        """The unit quaternion, scalar last, by scipy's own steps for an orthogonal matrix."""
        (a, b, c), (d, e, f), (g, h, i) = self._matrix.tolist()
        if not _orthogonal(a, b, c, d, e, f, g, h, i):
            return Rotation.from_matrix(self._matrix).as_quat()
        trace = a + e + i
        if trace > a and trace > e and trace > i:
            x, y, z, w = h - f, c - g, d - b, 1 + trace
        elif a >= e and a >= i:
            x, y, z, w = 1 - trace + 2 * a, d + b, g + c, h - f
        elif e >= i:
            x, y, z, w = d + b, 1 - trace + 2 * e, h + f, c - g
        else:
            x, y, z, w = g + c, h + f, 1 - trace + 2 * i, d - b
        length = math.sqrt(x * x + y * y + z * z + w * w)
        return np.array((x / length, y / length, z / length, w / length))


def _orthogonal(
    a: float, b: float, c: float, d: float, e: float, f: float, g: float, h: float, i: float
) -> bool:
    """Whether scipy takes the matrix as it is: a stricter bound than its own, so that it surely agrees."""
    return (
        abs(a * d + b * e + c * f) < 5e-13
        and abs(a * g + b * h + c * i) < 5e-13
        and abs(d * g + e * h + f * i) < 5e-13
        and abs(a * a + b * b + c * c - 1) < 5e-6
        and abs(d * d + e * e + f * f - 1) < 5e-6
        and abs(g * g + h * h + i * i - 1) < 5e-6
    )
