"""`stars-dist bench scale`: what each part of a run costs in CPU time, and the throughput that follows from it.

CPU time, not seconds of a clock, so that a machine with other work gives the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

PARTS = ("actor", "shard", "learner", "coordinator", "ray", "program")
OF_STEPS_ALONE = frozenset({"learner"})  # a step calls for the same updates, whoever made it


class RunCosts(NamedTuple):
    """CPU seconds of a run's processes by part while it made so many steps, from its actors' last start on."""

    actors: int
    seconds: float
    env_steps: int
    updates: int
    cpu_s: dict[str, float]  # by part

    @property
    def per_thousand_steps(self) -> dict[str, float]:
        """CPU seconds of each part per thousand environment steps."""
        return {part: 1000 * spent / self.env_steps for part, spent in self.cpu_s.items()}


class PartModel(NamedTuple):
    """A part's CPU seconds: so much for each environment step, and so much for each actor in each second."""

    per_step_s: float
    per_actor_second_s: float

    def cpu_s(self, env_steps: float, actor_seconds: float) -> float:
        """Predict the CPU seconds of the part."""
        return self.per_step_s * env_steps + self.per_actor_second_s * actor_seconds


class Limit(NamedTuple):
    """The greatest throughput that a part allows."""

    part: str
    env_steps_per_s: float


def fit(few: RunCosts, many: RunCosts) -> dict[str, PartModel]:
    """Solve for the two costs of each part from two runs of different size; neither is negative.

    The learner has none for an actor, so what two runs differ by in it is no cost but noise.
    """
    return {part: _fit_part(few, many, part) for part in PARTS}


def _fit_part(few: RunCosts, many: RunCosts, part: str) -> PartModel:
    runs = [(run.env_steps, run.actors * run.seconds, run.cpu_s[part]) for run in (few, many)]
    (steps_1, held_1, spent_1), (steps_2, held_2, spent_2) = runs
    determinant = steps_1 * held_2 - steps_2 * held_1
    per_step = (spent_1 * held_2 - spent_2 * held_1) / determinant if determinant else -1.0
    per_actor = (steps_1 * spent_2 - steps_2 * spent_1) / determinant if determinant else -1.0
    total = spent_1 + spent_2
    if part in OF_STEPS_ALONE:
        return PartModel(total / (steps_1 + steps_2), 0.0)
    if per_step < 0:
        return PartModel(0.0, total / (held_1 + held_2))
    if per_actor < 0:
        return PartModel(total / (steps_1 + steps_2), 0.0)
    return PartModel(per_step, per_actor)


def predicted_on_one_machine(parts: dict[str, PartModel], actors: int, cores: float) -> float:
    """Predict environment steps per second where all parts share so many cores, and nothing is left idle.

    `cores` may be what a run was given on a busy machine. Never below zero.
    """
    standing = sum(part.per_actor_second_s for part in parts.values()) * actors
    return max(0.0, cores - standing) / sum(part.per_step_s for part in parts.values())


class Cluster(NamedTuple):
    """The sizes of a run on machines of its own: an actor and a shard have a core each, the learner its device."""

    actors: int
    shards: int
    actor_step_s: float  # of the environment, the policy and sending, on a core of its own
    shard_step_s: float  # of all shards together: storing a step and drawing what it calls for
    update_s: float
    steps_per_update: float
    coordinator_call_s: float
    weights_poll_s: float  # between two calls of an actor


def limits(cluster: Cluster) -> list[Limit]:
    """Compute what each part allows, the lowest first: that one saturates, and the others wait for it."""
    calls_per_s = cluster.actors / cluster.weights_poll_s
    if calls_per_s * cluster.coordinator_call_s >= 1:
        return [Limit("coordinator", 0.0)]
    found = [
        Limit("actors", cluster.actors / cluster.actor_step_s),
        Limit("shards", cluster.shards / cluster.shard_step_s),
        Limit("learner", cluster.steps_per_update / cluster.update_s),
    ]
    return sorted(found, key=lambda limit: limit.env_steps_per_s)


def summary(runs: Sequence[RunCosts]) -> dict[str, Any]:
    """Return figures of all runs, the costs from the two smallest, and what they predict for each run."""
    parts = fit(*runs[:2])
    return {
        "costs": {name: part._asdict() for name, part in parts.items()},
        "runs": [_compared(run, parts) for run in runs],
    }


def _compared(run: RunCosts, parts: dict[str, PartModel]) -> dict[str, Any]:
    cores = sum(run.cpu_s.values()) / run.seconds
    return {
        **run._asdict(),
        "cores_had": cores,
        "env_steps_per_s": run.env_steps / run.seconds,
        "predicted_env_steps_per_s": predicted_on_one_machine(parts, run.actors, cores),
        "cpu_s_per_thousand_steps": run.per_thousand_steps,
        "predicted_cpu_s": {
            name: part.cpu_s(run.env_steps, run.actors * run.seconds) for name, part in parts.items()
        },
    }


def report(runs: Sequence[RunCosts]) -> str:
    """Format the figures for a terminal."""
    figures = summary(runs)
    lines = [f"{'':24}" + "".join(f"{part:>13}" for part in PARTS)]
    for key, unit in (("per_step_s", "CPU us per step"), ("per_actor_second_s", "CPU us per actor s")):
        costs = [1e6 * figures["costs"][part][key] for part in PARTS]
        lines.append(f"{unit:24}" + "".join(f"{cost:13.0f}" for cost in costs))
    for run in figures["runs"]:
        spent = "".join(f"{run['cpu_s'][part]:13.1f}" for part in PARTS)
        predicted = "".join(f"{run['predicted_cpu_s'][part]:13.1f}" for part in PARTS)
        lines += [
            f"{run['actors']} actors: {run['env_steps_per_s']:.0f} steps/s on the {run['cores_had']:.2f} cores that "
            f"they got, predicted {run['predicted_env_steps_per_s']:.0f}",
            f"{'  CPU s':24}{spent}",
            f"{'  predicted':24}{predicted}",
        ]
    return "\n".join([*lines, "The costs are fitted to the two smallest runs; the others check them."])
