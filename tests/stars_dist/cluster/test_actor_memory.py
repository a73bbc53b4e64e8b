"""The memory of actors: what is refused, and what is advised."""

from __future__ import annotations

import re

import pytest

from stars_dist.cluster.actor_memory import GIB, LEAST_ACTOR_BYTES, check_memory, fitting_actors


@pytest.mark.parametrize(("free_gib", "actors"), [(0.0, 0), (4.2, 0), (4.5, 1), (34.0, 100)])
def test_as_many_are_advised_as_fit_beside_the_services(free_gib: float, actors: int) -> None:
    assert fitting_actors(free_gib * GIB) == actors


def test_only_what_cannot_fit_is_refused() -> None:
    check_memory(500, 500 * LEAST_ACTOR_BYTES)
    message = (
        "actors must fit into the memory that is free, got 500 actors of at least 65 MiB, 31.7 GiB in all, with "
        "21.5 GiB free for this program; free some, or launch with --actors 58: an actor serves several tasks"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check_memory(500, 21.5 * GIB)


@pytest.mark.parametrize(
    ("actors", "remedy"),
    [(1, "1 actor of .* with 0.0 .*; free some$"), (2, "free some, or launch with --actors 1:")],
)
def test_the_remedy_is_another_one_than_what_is_refused(actors: int, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        check_memory(actors, 2**20)
