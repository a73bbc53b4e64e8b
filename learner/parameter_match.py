"""Widening a network until it has as many parameters as another: a comparison at equal size."""

from __future__ import annotations

from collections.abc import Callable

from learner.network_config import NetworkConfig
from learner.parameter_count import count_parameters
from replay_service.types import TransitionSpec

TOLERANCE = 0.01
_LARGEST_FACTOR = 256.0


def match_parameters(network: NetworkConfig, reference: NetworkConfig, spec: TransitionSpec) -> NetworkConfig:
    """Return the same method with hidden layers widened, or narrowed, to the reference's parameter count.

    The actor is matched to the reference's actor and the critics to its critics. All hidden layers of a network
    are multiplied by one factor and rounded; then single layers, the last first, get a unit more where that
    comes nearer. Hidden layers are those of the trunk, or of the unique branch where there is no trunk; there
    actor and critics have them in common, so that the sum is matched.

    Raises:
        ValueError: no widths come within 1 %.
    """
    wanted = count_parameters(reference, spec)
    if not network.shared.enabled:
        return _widened(network, "unique", network.unique.hidden, wanted.total, spec)
    network = _widened(network, "actor", network.actor_hidden, wanted.actor, spec)
    return _widened(network, "critics", network.critic_layers(spec.num_tasks), wanted.critics, spec)


def _widened(
    network: NetworkConfig, part: str, hidden: tuple[int, ...], wanted: int, spec: TransitionSpec
) -> NetworkConfig:
    def with_hidden(widths: tuple[int, ...]) -> NetworkConfig:
        if part == "unique":
            unique = network.unique.model_copy(update={"hidden": widths})
            return network.model_copy(update={"unique": unique})
        return network.model_copy(update={f"{part.removesuffix('s')}_hidden": widths})

    def count(widths: tuple[int, ...]) -> int:
        counts = count_parameters(with_hidden(widths), spec)
        return counts.total if part == "unique" else getattr(counts, part)

    widths = _fit(hidden, wanted, count)
    got = count(widths)
    if abs(got - wanted) > TOLERANCE * wanted:
        raise ValueError(
            f"network.match_parameters needs hidden layers that can come within {TOLERANCE:.0%}, got {got:,} "
            f"parameters ({part}) for {wanted:,}; leave it out or give the widths yourself"
        )
    return with_hidden(widths)


def _fit(hidden: tuple[int, ...], wanted: int, count: Callable[[tuple[int, ...]], int]) -> tuple[int, ...]:
    """Return widths proportional to `hidden` whose count is nearest to `wanted`."""

    def scaled(factor: float) -> tuple[int, ...]:
        return tuple(max(1, round(factor * width)) for width in hidden)

    low, high = 0.0, _LARGEST_FACTOR
    for _ in range(50):  # bisection: the greatest factor that does not pass `wanted`
        middle = (low + high) / 2
        low, high = (middle, high) if count(scaled(middle)) <= wanted else (low, middle)
    widths = scaled(low)
    for layer in reversed(range(len(widths))):
        wider = (*widths[:layer], widths[layer] + 1, *widths[layer + 1 :])
        if abs(count(wider) - wanted) < abs(count(widths) - wanted):
            widths = wider
    return widths
