"""Strikes at one process of Ray's: an actor, a shard, the learner, the coordinator or an evaluator."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from stars_dist.chaos.run_processes import shard_index, thaw
from stars_dist.chaos.scene import Scene
from stars_dist.chaos.schedule import Fault
from stars_dist.chaos.strike import NoVictimError, Strike

PROGRESS_CHUNKS = 6  # of an actor, after which its next death counts as the first
THAWED_S = 3.0  # after which a coordinator that was thawed in time serves as before


def strike_process(scene: Scene, fault: Fault) -> Strike:
    """Kill or freeze one process of a kind; a frozen one is thawed when the strike is undone.

    Raises:
        NoVictimError: there is none of this kind now.
    """
    process, number = _choose(scene, fault)
    part, is_kill = fault.kind.part, fault.kind.action == "kill"
    if part == "learner":
        scene.set_floor()
    with suppress(psutil.NoSuchProcess):
        process.kill() if is_kill else process.suspend()
    name = part if number is None else f"{part} {number}"
    strike = Strike(fault, f"{name} (pid {process.pid})", time.time(), number)
    if not is_kill:
        strike.undo = lambda: thaw([process])
    watch: Callable[[Scene, Strike, int | None], Callable[[], bool]] = _WATCHES[part]
    strike.is_survived = watch(scene, strike, number)
    return strike


def _choose(scene: Scene, fault: Fault) -> tuple[psutil.Process, int | None]:
    """Choose a process, with its number where its kind has numbers: those that do not tell it yet are starting."""
    part, seen = fault.kind.part, scene.seen
    found: list[tuple[psutil.Process, int | None]] = [
        (process, None) for process in scene.processes.of_kind(part)
    ]
    if part == "actor":
        # One that dies again and again before it has got anywhere ends the run, and rightly so.
        found = [
            (p, seen.actor_of_pid[p.pid]) for p, _ in found if seen.chunks_of_pid[p.pid] > PROGRESS_CHUNKS
        ]
    if part == "shard":
        found = [(p, index) for p, _ in found if (index := shard_index(p)) is not None]
    found = [(process, number) for process, number in found if (part, number) not in scene.struck]
    if not found:
        raise NoVictimError(f"no {part} ran that had survived the fault before")
    return found[int(fault.pick * len(found))]


def _watch_actor(scene: Scene, strike: Strike, actor: int | None) -> Callable[[], bool]:
    assert actor is not None
    return lambda: scene.seen.acknowledged_at.get(actor, 0.0) > strike.at


def _watch_shard(scene: Scene, strike: Strike, index: int | None) -> Callable[[], bool]:
    assert index is not None
    before = scene.seen.shards()[index]

    def is_survived() -> bool:
        now = scene.seen.shards().get(index, before)
        is_new = now.incarnation > before.incarnation
        return now.moved != before.moved and (is_new or strike.fault.kind.action == "freeze")

    return is_survived


def watch_learner(scene: Scene, strike: Strike, _: int | None = None) -> Callable[[], bool]:
    """Return a condition that is true once the learner has made updates after its restart, or its thaw."""
    before = scene.seen.metrics[-1]
    floor = scene.newest_steps

    def is_survived() -> bool:
        seen = scene.seen
        if seen.driver_started_at > strike.at:
            return seen.learns_since(seen.driver_started_at)
        again = [
            line
            for line in seen.metrics
            if line.seen_at > strike.at and line.learner_restarts > before.learner_restarts
        ]
        if any(floor < line.learner_steps < before.learner_steps for line in again):
            return True
        since = again[0].seen_at - 1e-3 if again else strike.undone_at
        return since is not None and seen.learns_since(since)

    return is_survived


def _watch_coordinator(scene: Scene, strike: Strike, _: int | None) -> Callable[[], bool]:
    def is_survived() -> bool:
        seen = scene.seen
        if seen.driver_started_at > strike.at:
            return seen.acts_since(seen.driver_started_at)
        if seen.has_printed("coordinator was restarted", strike.at):
            return True
        was_killed = strike.fault.kind.action == "kill" or seen.has_printed(
            "coordinator is frozen", strike.at
        )
        is_thawed = strike.undone_at is not None and time.time() > strike.undone_at + THAWED_S
        return is_thawed and not was_killed

    return is_survived


def _watch_evaluator(scene: Scene, strike: Strike, _: int | None) -> Callable[[], bool]:
    def is_survived() -> bool:
        seen = scene.seen
        if seen.driver_started_at > strike.at:
            return seen.acts_since(seen.driver_started_at)
        return seen.has_printed("evaluation at ", strike.at)

    return is_survived


_WATCHES = {
    "actor": _watch_actor,
    "shard": _watch_shard,
    "learner": watch_learner,
    "coordinator": _watch_coordinator,
    "evaluator": _watch_evaluator,
}
