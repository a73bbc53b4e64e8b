"""The schedule of a chaos run: which faults strike which parts when, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Action = Literal["kill", "freeze", "pause", "fill", "tear", "roll back"]
Part = Literal[
    "actor",
    "shard",
    "learner",
    "coordinator",
    "evaluator",
    "driver",
    "node",
    "run",
    "disk",
    "checkpoint",
    "provenance",
    "replay",
]

FIRST_AT_S = 2.0
BURST_SHARE = 0.15  # of the kills, right after which the next fault strikes
BURST_S = (0.3, 2.0)


class FaultKind(NamedTuple):
    """One kind of fault, and how it is drawn."""

    action: Action
    part: Part
    weight: float
    hold_s: tuple[float, float]  # until it is undone: thawed, freed, resumed, the node back
    rest_s: tuple[float, float]  # from there to the next fault

    @property
    def name(self) -> str:
        """What it does, for a person."""
        return f"{self.action} {self.part}"


class Fault(NamedTuple):
    """One fault of a schedule."""

    number: int  # from 1
    at_s: float  # since training began
    kind: FaultKind
    hold_s: float
    pick: float  # in [0, 1): which of the parts of its kind that are there


ALWAYS = (("kill", "actor"), ("kill", "shard"), ("kill", "learner"), ("kill", "coordinator"))  # come first
KINDS = (
    FaultKind("kill", "actor", 8, (0, 0), (4, 12)),
    FaultKind("kill", "shard", 6, (0, 0), (5, 14)),
    FaultKind("kill", "learner", 5, (0, 0), (12, 22)),
    FaultKind("kill", "coordinator", 4, (0, 0), (6, 14)),
    FaultKind("kill", "evaluator", 2, (0, 0), (3, 8)),
    FaultKind("freeze", "actor", 2, (2, 25), (3, 10)),  # from soon thawed to thawed beside its successor
    FaultKind("freeze", "shard", 2, (2, 25), (4, 12)),
    FaultKind("freeze", "learner", 2, (2, 25), (10, 20)),
    FaultKind("freeze", "coordinator", 1, (2, 25), (4, 12)),
    FaultKind("freeze", "evaluator", 1, (2, 25), (3, 8)),
    FaultKind("kill", "driver", 2, (0, 4), (35, 50)),
    FaultKind("tear", "checkpoint", 1.5, (0, 0), (12, 22)),
    FaultKind("roll back", "checkpoint", 0.5, (0, 4), (35, 50)),
    FaultKind("roll back", "provenance", 0.5, (0, 4), (35, 50)),
    FaultKind("roll back", "replay", 0.5, (0, 4), (35, 50)),
    FaultKind("kill", "node", 3, (3, 20), (20, 35)),
    FaultKind("fill", "disk", 1, (15, 30), (12, 20)),
    FaultKind("pause", "driver", 0.3, (121, 130), (10, 15)),
    FaultKind("pause", "run", 0.3, (121, 130), (15, 20)),
)


def draw_schedule(seed: int, minutes: float, kinds: Sequence[FaultKind] = KINDS) -> list[Fault]:
    """Draw the faults of so many minutes: each kind once as far as they fit, then by weight; the same for a seed."""
    rng = random.Random(seed)
    end_s, at_s = minutes * 60, FIRST_AT_S
    faults: list[Fault] = []
    for kind in _order(rng, kinds):
        hold_s = rng.uniform(*kind.hold_s)
        if at_s + hold_s > end_s:
            if at_s + min(other.hold_s[0] for other in kinds) > end_s:
                return faults
            continue
        faults.append(Fault(len(faults) + 1, at_s, kind, hold_s, rng.random()))
        is_burst = kind.action == "kill" and not kind.hold_s[1] and rng.random() < BURST_SHARE
        at_s += hold_s + rng.uniform(*(BURST_S if is_burst else kind.rest_s))
    raise AssertionError("the order of kinds has no end")


def _order(rng: random.Random, kinds: Sequence[FaultKind]) -> Iterator[FaultKind]:
    first = [kind for kind in kinds if (kind.action, kind.part) in ALWAYS]
    others = [kind for kind in kinds if kind not in first]
    for group in (first, others):
        rng.shuffle(group)
    others.sort(key=lambda kind: kind.action == "roll back")  # older files are kept when a driver is killed
    yield from first + others
    while True:
        yield from rng.choices(kinds, [kind.weight for kind in kinds])
