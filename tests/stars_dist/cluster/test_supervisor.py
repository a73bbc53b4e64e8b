"""The supervisor's starts: how many actors at a time, and which are late. No Ray: nothing runs behind the processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stars_dist.cluster.cluster import RunningProcess
from stars_dist.cluster.deadlines import SLOW_START_S
from stars_dist.cluster.placement import Placement
from stars_dist.cluster.supervisor import Supervisor
from stars_dist.config.merge import resolve, set_layer
from stars_dist.run_files.directory import RunDirectory


class Starts:
    """Stands where the cluster and the monitor do, and keeps which actors were started."""

    placement = Placement(2.0, actor_cpus=0.01, service_cpus=0.0, learner_gpus=0)
    coordinator, shards = object(), (object(), object())

    def __init__(self) -> None:
        self.actors_alive = 0
        self.actors: list[int] = []

    def start_actor(self, actor: int, incarnation: int, cpus: float) -> RunningProcess:
        self.actors.append(actor)
        return RunningProcess(None, None, cpus)

    def log(self, text: str) -> None:
        raise AssertionError(text)


def supervisor_of(starts: Any, directory: Path, num_actors: int) -> Supervisor:
    sets = ("suite=toy:4", f"actors.num_actors={num_actors}", "replay.num_shards=2")
    plan = resolve([set_layer(text) for text in sets]).plan
    supervisor = Supervisor(RunDirectory(directory), plan, starts, starts, 0)
    supervisor.learner.is_finished = True  # that is not what is started here
    return supervisor


def test_few_actors_start_until_coordinator_and_shards_are_up(tmp_path: Path) -> None:
    starts = Starts()
    supervisor = supervisor_of(starts, tmp_path, 100)

    def started() -> int:
        supervisor._start_due()
        return len(starts.actors)

    services = supervisor._services
    coordinator, shard, other = (s.watch for s in (services._coordinator, *services._shards))
    assert (started(), started()) == (8, 8)
    coordinator.record_answer()
    shard.record_answer()
    assert started() == 8, "a shard is still starting"
    other.record_answer()
    assert started() == 50
    coordinator.restart()
    for actor in supervisor.actors[:45]:
        actor.watch.record_answer()
    assert started() == 53, "beside the five that start, while the coordinator is away"
    supervisor._shares.cluster_cpus = 10.0
    assert started() == 85, "a cluster that has grown: four for each of ten cores"


def test_no_actor_is_late_while_a_shard_starts(tmp_path: Path) -> None:
    """It waits for its shards before its first heartbeat; one that reads a snapshot may take ten minutes."""
    supervisor = supervisor_of(Starts(), tmp_path, 4)
    supervisor._start_due()
    services: Any = SimpleNamespace(advance=tuple, are_up=False)
    supervisor._services = services
    for actor in supervisor.actors:
        actor.watch.record_placed()
    clock = supervisor.actors[0]._clock
    for _ in range(100):
        clock.now += 5.0
        supervisor._collect()
    services.are_up = True
    clock.now += SLOW_START_S / 2
    supervisor._collect()
    clock.now += SLOW_START_S
    with pytest.raises(AssertionError, match=r"actor 0 \(toy-0\) has not answered 5\d\d s after its start; "):
        supervisor._collect()
