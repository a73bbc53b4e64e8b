"""Tasks are dealt evenly to any number of actors."""

from __future__ import annotations

import numpy as np
import pytest

from actors.assignment import assign_tasks


@pytest.mark.parametrize("num_actors", [1, 2, 3, 10, 15, 120])
def test_assign_tasks(num_actors: int) -> None:
    assigned = assign_tasks(10, num_actors)
    assert len(assigned) == num_actors
    assert min(map(len, assigned)) >= 1
    times = np.bincount([task for tasks in assigned for task in tasks], minlength=10)
    assert times.min() >= 1
    assert times.max() - times.min() <= 1
    assert max(map(len, assigned)) - min(map(len, assigned)) <= 1
