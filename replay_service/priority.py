"""Priority: from a row's |td_error| to its probability of being drawn and its importance weight.

Proportional prioritized experience replay (PER, Schaul et al. 2016, arXiv 1511.05952), in each task's table of N rows:

    p_i = |td_error_i|                    raw priority, as the learner sends it (section 3.3)
    m_i = (p_i + epsilon)^alpha           mass, a leaf of the sum tree
    P(i) = m_i / sum_k m_k                probability (equation 1)
    w_i = (N P(i))^-beta / mean_k w_k     importance weight (section 3.4, but for the scale)

Deviations: N and P(i) are those of the task's table, but the scale is one for the whole batch, all tasks together: one
for each task would reweight the tasks. The scale is the mean of the weights, not their maximum: the critic's loss then
keeps its proportion to the other losses, whatever beta and however skewed the priorities. New rows start at a
maximum that decays (`START_PRIORITY_DECAY`), not at the greatest priority ever set.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

FIRST_PRIORITY = 1.0
# Per update of a table's priorities, one a sampling call of the learner: 1e6 becomes 10 in 11,500 of them.
START_PRIORITY_DECAY = 0.999
Values = TypeVar("Values", np.float64, NDArray[np.float64])


def priority_mass(priority: Values, alpha: float, epsilon: float) -> Values:
    """Return (p + epsilon)^alpha; epsilon keeps rows without error in the draw, alpha 0 makes it uniform."""
    return (priority + epsilon) ** alpha


def initial_priority(max_priority: float) -> float:
    """Return the priority of new rows: the greatest set in their table of late (PER, algorithm 1, line 6).

    `max_priority` is 0 before the first update; new rows then have priority 1, as in the paper.
    """
    return max_priority or FIRST_PRIORITY


def check_priorities(
    priority: NDArray[np.floating], task_id: NDArray[np.int32], key: NDArray[np.int64]
) -> None:
    """Check that the priorities of the named rows are finite and at least 0.

    Raises:
        ValueError: one is not; names the first such row.
    """
    wrong = ~(np.isfinite(priority) & (priority >= 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"task {task_id[row]}: a priority must be finite and at least 0, got {priority[row]} in row {row} "
            f"with key {key[row]} ({wrong.sum()} of {len(wrong)} rows); check the learner's td_error"
        )


def is_exponent_at(progress: float, start: float, end: float) -> float:
    """Return beta after the share `progress` (0 to 1) of the training: linear from start to end (section 3.4)."""
    share = min(max(progress, 0.0), 1.0)
    return start + share * (end - start)


def importance_weights(
    probability: NDArray[np.float64],
    table_size: NDArray[np.int64],
    exponent: float,
    is_scaled: bool = True,
) -> NDArray[np.float32]:
    """Return (N P(i))^-exponent over its mean in the batch, f32[B], or as it is; `exponent` is beta."""
    weight = (table_size * probability) ** -exponent
    return (weight / weight.mean() if is_scaled else weight).astype(np.float32)


def effective_sample_size(weight: NDArray[np.float32]) -> float:
    """Return (sum w)^2 / (n sum w^2), the share of the batch that counts; 1 for equal weights (Kish 1965)."""
    return float(
        weight.sum(dtype=np.float64) ** 2 / (len(weight) * np.square(weight, dtype=np.float64).sum())
    )
