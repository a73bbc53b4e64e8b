"""Meta-World's reward shapes for single numbers, in place of `metaworld.utils.reward_utils`.

The library computes them with arrays of no dimension, some 20 us per call. Plain floats go through the same IEEE
operations in the same order and give the same bits. A square stays `** 2`: both are the C library's `pow`,
which is not always the product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from metaworld.utils import reward_utils

hamacher_product = reward_utils.hamacher_product
rect_prism_tolerance = reward_utils.rect_prism_tolerance

_VALUE_AT_MARGIN = 0.1
_LONG_TAIL_SCALE = float(np.sqrt(1 / _VALUE_AT_MARGIN - 1))
_GAUSSIAN_SCALE = np.sqrt(-2 * np.log(_VALUE_AT_MARGIN))


def tolerance(
    x: Any,
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: float = 0.0,
    sigmoid: Any = "gaussian",
    value_at_margin: float = _VALUE_AT_MARGIN,
) -> Any:
    """Compute `reward_utils.tolerance`: 1 within the bounds, falling off outside over the margin."""
    # np.float64 is a float; a float32, an array or another shape of the slope is left to the library.
    if not isinstance(x, float) or value_at_margin != _VALUE_AT_MARGIN or sigmoid not in _SIGMOIDS:
        return reward_utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)
    lower, upper = bounds
    if lower > upper or margin < 0:
        return reward_utils.tolerance(x, bounds, margin, sigmoid, value_at_margin)  # it raises
    x = float(x)  # arithmetic on plain floats is faster than on numpy's
    if lower <= x <= upper:
        return 1.0
    if margin == 0:
        return 0.0
    distance = float((lower - x if x < lower else x - upper) / margin)
    return _SIGMOIDS[sigmoid](distance)


def _long_tail(distance: float) -> float:
    return 1 / ((distance * _LONG_TAIL_SCALE) ** 2 + 1)


def _gaussian(distance: float) -> float:
    return float(np.exp(-0.5 * (distance * _GAUSSIAN_SCALE) ** 2))


_SIGMOIDS = {"long_tail": _long_tail, "gaussian": _gaussian}
