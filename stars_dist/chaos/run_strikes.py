"""Strikes at a run as a whole: its driver killed or stopped, everything stopped, a Ray node lost."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from stars_dist.chaos.run_processes import thaw
from stars_dist.chaos.scene import Scene
from stars_dist.chaos.schedule import Fault
from stars_dist.chaos.strike import NoVictimError, Strike

SHARDS_GONE_S = 20.0  # after the death of their driver


def kill_driver(
    scene: Scene, fault: Fault, what: str = "", meanwhile: Callable[[], None] = lambda: None
) -> Strike:
    """Kill the driver and do something to the files of its run, which is resumed when the strike is undone."""
    driver = scene.training.driver
    scene.training.kill()
    strike = Strike(fault, f"driver (pid {driver.pid}){what}", time.time())
    scene.set_floor()
    meanwhile()
    if scene.copied_at is None and are_shards_gone(scene):
        shutil.copytree(scene.run.replay, scene.copies / "replay")
        shutil.copy2(scene.run.provenance_file, scene.copies)
        scene.copied_at = time.time()

    def is_survived() -> bool:
        return strike.undone_at is not None and scene.goes_on_since(scene.seen.driver_started_at)

    strike.undo, strike.is_survived = scene.resume, is_survived
    return strike


def are_shards_gone(scene: Scene) -> bool:
    """Wait until no shard of a driver that was killed writes to the replay; return whether that is so."""
    deadline = time.monotonic() + SHARDS_GONE_S
    while time.monotonic() < deadline:
        scene.processes.look()
        if not scene.processes.of_kind("shard"):
            return True
        time.sleep(0.1)
    return False


def pause(scene: Scene, fault: Fault) -> Strike:
    """Stop the driver, as Ctrl-Z does, or everything, as a scheduler that suspends a job."""
    driver: psutil.Process = scene.training.driver
    others = [process for process in scene.processes.alive if process.pid != driver.pid]
    paused = [driver] if fault.kind.part == "driver" else [driver, *others]
    for process in paused:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    strike = Strike(fault, f"{fault.kind.part} ({len(paused)} processes)", time.time())

    def undo() -> None:
        thaw(reversed(paused))
        scene.pauses.append((strike.at, time.time()))

    def is_survived() -> bool:
        return strike.undone_at is not None and scene.goes_on_since(strike.undone_at)

    strike.undo, strike.is_survived = undo, is_survived
    return strike


def kill_node(scene: Scene, fault: Fault) -> Strike:
    """End a Ray node with all that runs there; it is back when the strike is undone.

    Raises:
        NoVictimError: no node runs.
    """
    number = scene.nodes.choose(fault.pick)
    if number is None:
        raise NoVictimError("no node runs")
    actors = set(scene.seen.acknowledged_at)
    scene.nodes.kill(number)
    strike = Strike(fault, f"node {number}", time.time())
    strike.undo = lambda: scene.processes.follow(scene.nodes.start(number))
    strike.is_survived = lambda: all(scene.seen.acknowledged_at[actor] > strike.at for actor in actors)
    return strike
