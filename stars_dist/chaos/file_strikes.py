"""Strikes at the files of a run: checkpoints torn, files rolled back, the disk filled."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress

import psutil

from stars_dist.chaos.process_strikes import watch_learner
from stars_dist.chaos.run_strikes import are_shards_gone, kill_driver
from stars_dist.chaos.scene import RollBack, Scene
from stars_dist.chaos.schedule import Fault
from stars_dist.chaos.strike import NoVictimError, Strike


def tear_checkpoint(scene: Scene, fault: Fault) -> Strike:
    """Cut the newest checkpoint short and kill the learner, which has to go on from the one before.

    Raises:
        NoVictimError: there are not two whole checkpoints, or no learner.
    """
    whole, learners = scene.whole_checkpoints, scene.processes.of_kind("learner")
    if len(whole) < 2 or not learners:
        raise NoVictimError("there are not two whole checkpoints and a learner")
    scene.tear(whole[-1])
    with suppress(psutil.NoSuchProcess):
        learners[0].kill()
    strike = Strike(fault, f"{whole[-1].name}, and the learner killed (pid {learners[0].pid})", time.time())
    scene.set_floor()  # one that was published meanwhile is whole
    strike.is_survived = watch_learner(scene, strike)
    return strike


def roll_back(scene: Scene, fault: Fault) -> Strike:
    """Put files back to an older state while the driver is dead.

    Raises:
        NoVictimError: no older state is known.
    """
    part = fault.kind.part
    if part == "checkpoint":
        if len(scene.whole_checkpoints) < 2:
            raise NoVictimError("there are not two whole checkpoints")
        return kill_driver(scene, fault, "; newest checkpoint removed", lambda: _remove_newest(scene))
    if scene.copied_at is None:
        raise NoVictimError("no older state is known; one is kept when a driver is killed")
    if part == "provenance":
        file = scene.run.provenance_file
        return kill_driver(scene, fault, f"; {file.name} put back", lambda: _copy(scene, file.name))
    shards = sorted(path.name for path in (scene.copies / "replay").glob("shard-*"))
    shard = shards[int(fault.pick * len(shards))]
    return kill_driver(scene, fault, f"; {shard} put back", lambda: _put_back(scene, shard))


def fill_disk(scene: Scene, fault: Fault) -> Strike:
    """Take all the room of the run's disk; it is given back when the strike is undone."""
    newest = scene.newest_steps
    scene.set_floor()
    scene.disk.fill()
    strike = Strike(fault, str(scene.disk.path), time.time())

    def undo() -> None:
        scene.disk.free()
        scene.full_disk.append((strike.at, time.time()))

    def is_survived() -> bool:
        since = strike.undone_at
        return since is not None and scene.newest_steps > newest and scene.seen.acts_since(since)

    strike.undo, strike.is_survived = undo, is_survived
    return strike


def _remove_newest(scene: Scene) -> None:
    shutil.rmtree(scene.whole_checkpoints[-1])
    scene.set_floor()


def _copy(scene: Scene, name: str) -> None:
    shutil.copy2(scene.copies / name, scene.run.path / name)


def _put_back(scene: Scene, shard: str) -> None:
    """Put a shard's files back, and forget the older state: the next one is of after this."""
    assert scene.copied_at is not None
    if not are_shards_gone(scene):
        return
    shutil.rmtree(scene.run.replay / shard)
    shutil.copytree(scene.copies / "replay" / shard, scene.run.replay / shard)
    tasks = scene.run.read_plan().replay.tasks_of_shard(int(shard.removeprefix("shard-")))
    scene.roll_backs.append(RollBack(frozenset(tasks), scene.copied_at, time.time()))
    scene.copied_at = None
    shutil.rmtree(scene.copies / "replay")
