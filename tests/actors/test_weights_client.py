"""Which version an actor holds, and when its lag is past the bound."""

from __future__ import annotations

import pytest

from actors.config import ActorsConfig
from actors.policy_weights import PolicyWeights
from actors.weights_client import WeightsClient


def client_with(*versions: int, learner_steps: int = 0, max_policy_lag: int | None = 8) -> WeightsClient:
    client = WeightsClient(0, ActorsConfig(max_policy_lag=max_policy_lag))
    for version in versions:
        client.receive(PolicyWeights(version, {}))
        client.take(learner_steps)
    return client


def test_weights_are_held_from_the_take_on() -> None:
    client = client_with()
    assert client.version is None
    client.receive(PolicyWeights(3, {}))
    assert client.version is None
    client.receive(PolicyWeights(5, {}))  # the newest replaces what was not taken
    client.take(0)
    assert client.version == 5
    client.take(0)  # nothing has arrived since
    assert client.version == 5


@pytest.mark.parametrize(
    ("versions", "learner_steps", "max_policy_lag", "exceeded"),
    [
        ((), 8, 8, False),
        ((), 9, 8, True),
        ((100,), 108, 8, False),
        ((100,), 109, 8, True),
        ((100, 105), 109, 8, False),
        ((1,), 10**9, None, False),
    ],
)
def test_the_bound_of_the_lag(
    versions: tuple[int, ...], learner_steps: int, max_policy_lag: int | None, exceeded: bool
) -> None:
    client = client_with(*versions, learner_steps=learner_steps, max_policy_lag=max_policy_lag)
    assert client.lag_exceeded(learner_steps) == exceeded


def test_a_learner_that_went_back_is_not_waited_for() -> None:
    client = client_with(100, 60, learner_steps=105)
    assert not client.lag_exceeded(105)  # the shards still report the old count
    assert not client.lag_exceeded(61)
    assert client.lag_exceeded(69)  # from here on the bound holds again


def test_the_bound_holds_at_once_where_the_count_went_back_before_the_weights() -> None:
    client = client_with(100, learner_steps=105)
    client.receive(PolicyWeights(60, {}))
    client.take(61)
    assert not client.lag_exceeded(68)
    assert client.lag_exceeded(69)


def test_the_bound_holds_again_once_the_learner_is_where_it_was() -> None:
    """As where no shard was asked between the learner's two counts."""
    client = client_with(100, 60, learner_steps=105)
    assert not client.lag_exceeded(120)
    client.receive(PolicyWeights(100, {}))
    client.take(120)
    assert client.lag_exceeded(120)
