"""The memory of actors: what is refused, and what is advised."""

from __future__ import annotations

import re
from math import inf

import pytest

from stars_dist.cluster.actor_memory import (
    GIB,
    LEAST_ACTOR_BYTES,
    check_memory,
    check_nodes_memory,
    fitting_actors,
)


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


ONE = float(LEAST_ACTOR_BYTES)


@pytest.mark.parametrize(
    "free_bytes",
    [[3 * ONE], [ONE, 2 * ONE], [0.0, 3.5 * ONE], [0.0, inf]],
    ids=["one node", "two", "a full one", "one that did not answer"],
)
def test_actors_are_spread_over_the_nodes_of_a_cluster(free_bytes: list[float]) -> None:
    assert check_nodes_memory(3, free_bytes, may_grow=False) == ""


def test_an_actor_is_on_one_node_so_rests_of_memory_hold_none() -> None:
    message = (
        "actors must fit into the memory that is free, got 3 actors of at least 65 MiB, 0.2 GiB in all, with 0.2 GiB "
        "free on 2 nodes of the cluster, room for 2; free some, add nodes, or launch with --actors 1: an actor serves "
        "several tasks"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check_nodes_memory(3, [1.5 * ONE, 1.9 * ONE], may_grow=False)


def test_where_an_autoscaler_adds_machines_it_is_said_and_nothing_refused() -> None:
    assert check_nodes_memory(500, [GIB, 2 * GIB], may_grow=True) == (
        "memory: 500 actors of at least 65 MiB, 31.7 GiB in all, with 3.0 GiB free on 2 nodes of the cluster; the "
        "others need machines that the autoscaler adds"
    )
