"""The few functions of numpy and scipy that Meta-World's rewards spend their time in, fast for three numbers.

Each gives the very bits of the function it stands for: the same IEEE operations in the same order. Arguments that it
is not made for go to that function.
"""

from __future__ import annotations

import struct
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_ndarray, _float64 = np.ndarray, np.float64  # one look-up less in what is called most
_FLOAT64 = np.dtype(np.float64)
_CONTIGUOUS = (_FLOAT64.itemsize,)  # the strides of such a vector
_PLAIN = (int, float)
# The fastest way to write floats into an array. Typed loosely: the stubs do not know that an array is a buffer.
_pack_two: Any = struct.Struct("2d").pack_into
_pack_three: Any = struct.Struct("3d").pack_into
_pack_four: Any = struct.Struct("4d").pack_into


def _blas_adds_in_order() -> bool:
    """Return whether this machine's BLAS computes the dot product of two or three numbers as a*a + b*b + c*c.

    A kernel compiled with fused multiply-add rounds once less; some vector in four tells.
    """
    for x in np.random.default_rng(0).standard_normal((256, 3)):
        a, b, c = x.tolist()
        if x.dot(x) != a * a + b * b + c * c or x[:2].dot(x[:2]) != a * a + b * b:
            return False
    return True


def _length_in_order(a: float, b: float, c: float | None = None) -> float:
    return sqrt(a * a + b * b) if c is None else sqrt(a * a + b * b + c * c)


def _length_by_blas(a: float, b: float, c: float | None = None) -> float:
    if c is None:
        x = np.empty(2)
        _pack_two(x, 0, a, b)
    else:
        x = np.empty(3)
        _pack_three(x, 0, a, b, c)
    return sqrt(x.dot(x))


# The norm of two or three numbers: sqrt(x.dot(x)), as numpy computes it.
length = _length_in_order if _blas_adds_in_order() else _length_by_blas


def distance(p: list[float], q: list[float]) -> float:
    """Compute the norm of the difference of two points in space."""
    return length(p[0] - q[0], p[1] - q[1], p[2] - q[2])


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Compute `np.linalg.norm`, which is the root of a dot product for a contiguous vector."""
    if x.__class__ is _ndarray and x.dtype is _FLOAT64 and x.strides == _CONTIGUOUS:
        if axis is None and not keepdims and (ord is None or ord == 2):
            return _float64(sqrt(x.dot(x)))
    elif x.__class__ is _float64 and ord is None:
        return _float64(sqrt(x * x))
    return np.linalg.norm(x, ord, axis, keepdims)


def clip(x: Any, low: Any, high: Any) -> Any:
    """Compute `np.clip`, faster for one number between two plain ones."""
    if (
        (x.__class__ is np.float32 or x.__class__ is np.float64)
        and type(low) in _PLAIN
        and type(high) in _PLAIN
    ):
        return x.__class__(low) if x < low else x.__class__(high) if x > high else x
    return np.clip(x, low, high)


def hstack(arrays: Any) -> NDArray[Any]:
    """Compute `np.hstack`, faster for vectors and for float64 numbers."""
    for x in arrays:  # a loop costs half of all() over a generator
        if x.__class__ is not np.ndarray or x.ndim != 1:
            break
    else:
        return np.concatenate(arrays)
    if all(x.__class__ is np.float64 for x in arrays):
        return np.array(arrays)
    return np.hstack(arrays)


class MatrixRotation:
    """`scipy.spatial.transform.Rotation` as the rewards use it: `from_matrix(matrix).as_quat()`."""

    __slots__ = ("_matrix",)

    def __init__(self, matrix: NDArray[np.float64]) -> None:
        self._matrix = matrix

    @staticmethod
    def from_matrix(matrix: NDArray[np.float64]) -> MatrixRotation:
        """Keep an orthogonal matrix f64[3, 3]."""
        return MatrixRotation(matrix)

    def as_quat(self) -> NDArray[np.float64]:
        """Compute the unit quaternion, scalar last, by scipy's own steps for an orthogonal matrix.

        MuJoCo makes its matrices of unit quaternions; they are orthogonal to 1e-15, and scipy asks for 1e-12.
        """
        (a, b, c), (d, e, f), (g, h, i) = self._matrix.tolist()
        trace = a + e + i
        if trace > a and trace > e and trace > i:
            x, y, z, w = h - f, c - g, d - b, 1 + trace
        elif a >= e and a >= i:
            x, y, z, w = 1 - trace + 2 * a, d + b, g + c, h - f
        elif e >= i:
            x, y, z, w = d + b, 1 - trace + 2 * e, h + f, c - g
        else:
            x, y, z, w = g + c, h + f, 1 - trace + 2 * i, d - b
        norm = sqrt(x * x + y * y + z * z + w * w)
        quat = np.empty(4)
        _pack_four(quat, 0, x / norm, y / norm, z / norm, w / norm)
        return quat


def rotation_class() -> type:
    """Choose `MatrixRotation` if it agrees with the installed scipy on rotations of every case, else scipy's."""
    matrices = Rotation.random(64, rng=np.random.default_rng(0)).as_matrix()
    agrees = all(
        Rotation.from_matrix(matrix).as_quat().tobytes()
        == MatrixRotation.from_matrix(matrix).as_quat().tobytes()
        for matrix in matrices
    )
    return MatrixRotation if agrees else Rotation
