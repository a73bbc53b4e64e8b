"""The estimate of an update's arithmetic by hand; the test of `bench learner` holds it against the products."""

from __future__ import annotations

from learner.network_config import NetworkConfig, SharedConfig, UniqueConfig
from learner.update_cost import update_flop
from replay_service.types import TransitionSpec

PLAIN = NetworkConfig(
    shared=SharedConfig(kind="plain"),
    unique=UniqueConfig(enabled=False),
    head="shared",
    actor_hidden=(16,),
    critic_hidden=(8,),
)


def test_by_hand() -> None:
    """Actor 5 x 16 and 16 x 4, two critics of 7 x 8 and 8 x 1; two operations for each product and sum."""
    actor, critics = 5 * 16 + 16 * 4, 2 * (7 * 8 + 8 * 1)
    assert update_flop(PLAIN, TransitionSpec(3, 5, 2), rows=10) == 2 * 10 * (4 * actor + 6 * critics)
