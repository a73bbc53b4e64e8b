"""The shares of a core of actors while nodes come and go: who waits, for how long, and who starts anew for whom."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from stars_dist.cluster.core_shares import SETTLE_S, TOLD_EVERY_S, UNSEEN_S, ActorPlace, CoreShares
from stars_dist.cluster.launches import Launches
from stars_dist.cluster.node_room import NodeCores
from stars_dist.cluster.placement import Placement
from stars_dist.cluster.running_clock import RunningClock

WAIT_S = 600.0
JOINED = Placement(1.0, actor_cpus=1.0, service_cpus=0.25, learner_gpus=0, is_own=False)


class Scene:
    """A cluster of nodes on which actors find places by what they ask for, as Ray does; time passes by `run`."""

    def __init__(self, num_actors: int, wait_s: float | None = WAIT_S, **nodes: float) -> None:
        self.seconds, self.lines = 0.0, list[str]()
        self.nodes: dict[str, float] = nodes  # the cores of each
        self.launches = Launches()
        self.clock = RunningClock(lambda: self.seconds)
        self.actors: list[ActorPlace] = []
        self.shares = CoreShares(
            num_actors, JOINED, wait_s, self.clock, self.lines.append, self._cores, lambda: self.launches
        )
        self.actors = [ActorPlace(actor, 1.0, None) for actor in range(num_actors)]
        self.started = 0
        self._place()

    @property
    def placed(self) -> list[ActorPlace]:
        return [actor for actor in self.actors if actor.node is not None]

    def run(self, seconds: float) -> None:
        """Let so many seconds pass, in each of which the shares are looked at."""
        for _ in range(int(seconds)):
            self.seconds += 1.0
            self.clock.tick()
            waiting = [actor for actor in self.actors if actor.node is None]
            for actor in waiting:
                self.actors[actor.actor] = actor._replace(waited_s=actor.waited_s + 1)
            self._place()
            for actor in self.shares.advance(self.actors, len(self.placed)):
                self.started += 1
                self.actors[actor] = ActorPlace(actor, self.shares.actor_cpus, None)
            self._place()

    def lose(self, node: str) -> None:
        """Lose a node; its actors are started again, as the supervisor does."""
        del self.nodes[node]
        for actor in self.actors:
            if actor.node == node:
                self.actors[actor.actor] = ActorPlace(actor.actor, self.shares.actor_cpus, None)

    def _place(self) -> None:
        for actor in self.actors:
            for node, cores in self._cores().items():
                if actor.node is None and actor.cpus <= cores.free + 1e-9:
                    actor = self.actors[actor.actor] = actor._replace(node=node, waited_s=0.0)

    def _cores(self) -> Mapping[str, NodeCores]:
        held = {node: sum(a.cpus for a in self.actors if a.node == node) for node in self.nodes}
        return {node: NodeCores(cores, cores - held[node]) for node, cores in self.nodes.items()}


def test_actors_wait_for_machines_that_are_launched_and_nobody_starts_anew() -> None:
    scene = Scene(12, head=1.0)
    scene.launches = Launches({"cpu_worker": 2}, is_autoscaled=True)
    scene.run(2 * WAIT_S)
    assert len(scene.placed) == 1 and scene.shares.is_waiting
    assert scene.lines[0] == "1 of 12 actors run; waiting for cores: 2 cpu_worker launching"
    assert len(scene.lines) == pytest.approx(2 * WAIT_S / TOLD_EVERY_S, abs=2)
    scene.launches = Launches(is_autoscaled=True)
    scene.nodes |= {"a": 4.0, "b": 4.0, "c": 4.0}
    scene.run(2 * WAIT_S)
    assert len(scene.placed) == 12 and not scene.shares.is_waiting and scene.started == 0
    assert scene.shares.actor_cpus == 1.0


@pytest.mark.parametrize(("is_autoscaled", "patience_s"), [(True, WAIT_S), (False, UNSEEN_S)])
def test_without_any_launch_what_is_there_is_shared_and_said(is_autoscaled: bool, patience_s: float) -> None:
    """18 cores for 50 actors: three on each, and only as many start anew as it takes."""
    scene = Scene(50, head=2.0, a=8.0, b=8.0)
    scene.launches = Launches(is_autoscaled=is_autoscaled)
    scene.run(patience_s - 1)
    assert len(scene.placed) == 18 and scene.started == 0
    assert scene.lines[0].startswith(
        "18 of 50 actors run; waiting for cores: no launch so far; what is there is shared"
    )
    scene.run(TOLD_EVERY_S + 2)
    assert len(scene.placed) == 50 and scene.shares.actor_cpus == 0.333
    assert scene.started == 32 + 16
    assert (
        scene.lines[-1] == "50 actors have 18 cores from now on, 0.333 of a core each; 48 start anew for it"
    )
    lines = len(scene.lines)
    scene.run(WAIT_S)
    assert (scene.started, len(scene.lines)) == (48, lines)


def test_a_failed_launch_is_named() -> None:
    scene = Scene(2, head=1.0)
    scene.launches = Launches(is_autoscaled=True, failure="cpu_worker: no spot capacity")
    scene.run(TOLD_EVERY_S + 1)
    assert "no launch, the last one failed: cpu_worker: no spot capacity" in scene.lines[0]


def test_actors_of_a_lost_node_move_and_draw_out_when_it_is_back() -> None:
    scene = Scene(8, a=4.0, b=4.0)
    scene.run(30)
    assert len(scene.placed) == 8 and scene.started == 0
    scene.lose("b")
    scene.run(UNSEEN_S + TOLD_EVERY_S + 2)
    assert {actor.node for actor in scene.actors} == {"a"}, "all are on the node that is left"
    assert scene.shares.actor_cpus == 0.5
    scene.nodes["b"] = 4.0
    scene.run(6 * SETTLE_S)
    assert sum(actor.node == "b" for actor in scene.actors) == 4
    assert len(scene.placed) == 8 and scene.shares.actor_cpus == 1.0


def test_the_cores_that_decide_how_many_start_at_a_time_are_those_that_are_there_now() -> None:
    scene = Scene(8, head=0.0)
    assert scene.shares.cluster_cpus == JOINED.cluster_cpus
    scene.nodes |= {"a": 4.0, "b": 60.0}
    scene.run(1)
    assert scene.shares.cluster_cpus == 64.0
    scene.lose("b")
    scene.run(1)
    assert scene.shares.cluster_cpus == 4.0


def test_actors_that_take_long_to_start_are_not_taken_for_ones_without_a_core() -> None:
    """They have cores already, which nobody else has, and no place that is known."""
    free, lines, clock = [4.0], list[str](), RunningClock()
    shares = CoreShares(
        4, JOINED, 0.0, clock, lines.append, lambda: {"head": NodeCores(5.0, free[0])}, lambda: Launches()
    )
    free[0] = 0.0
    for seconds in range(1, 50):
        actors = [ActorPlace(actor, 1.0, None, float(seconds)) for actor in range(4)]
        assert shares.advance(actors, 0) == []
    assert not shares.is_waiting and lines == []


def test_actors_for_which_there_is_no_room_at_all_ask_for_none() -> None:
    scene = Scene(3, head=0.0)
    scene.run(UNSEEN_S + TOLD_EVERY_S + 2)
    assert scene.shares.actor_cpus == 0.0 and len(scene.placed) == 3


def test_on_a_cluster_of_the_runs_own_nothing_changes() -> None:
    scene = Scene(4, wait_s=None, head=1.0)
    scene.run(100)
    assert scene.started == 0 and scene.lines == [] and not scene.shares.is_waiting
