"""Tasks are dealt evenly to any number of actors."""

from __future__ import annotations

import numpy as np
import pytest

from actors.assignment import assign_tasks, cover_tasks


@pytest.mark.parametrize("num_actors", [1, 2, 3, 10, 15, 120])
def test_assign_tasks(num_actors: int) -> None:
    assigned = assign_tasks(10, num_actors)
    assert len(assigned) == num_actors
    assert min(map(len, assigned)) >= 1
    times = np.bincount([task for tasks in assigned for task in tasks], minlength=10)
    assert times.min() >= 1
    assert times.max() - times.min() <= 1
    assert max(map(len, assigned)) - min(map(len, assigned)) <= 1


@pytest.mark.parametrize(
    ("num_actors", "absent", "present", "expected"),
    [
        (3, {}, {0, 1, 2}, [(0, 3), (1, 4), (2,)]),
        (3, {1}, {0, 2}, [(0, 3, 4), (1, 4), (2, 1)]),
        (3, {0, 1}, {2}, [(0, 3), (1, 4), (2, 0, 1, 3, 4)]),
        (3, {0, 1, 2}, {}, [(0, 3), (1, 4), (2,)]),  # nobody is there to help
        (3, {1}, {2}, [(0, 3), (1, 4), (2, 1, 4)]),  # actor 0 is starting: it keeps its tasks, and gets none
        (7, {0}, {1, 2, 3, 4, 5, 6}, [(0,), (1,), (2,), (3,), (4,), (0,), (1,)]),  # actor 5 has task 0 too
    ],
)
def test_cover_tasks(num_actors: int, absent: set, present: set, expected: list[tuple[int, ...]]) -> None:
    serving = cover_tasks(assign_tasks(5, num_actors), absent, present)
    assert list(serving.values()) == expected
