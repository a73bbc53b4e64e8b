"""What the processes of a run ask of clusters of several sizes."""

from __future__ import annotations

import pytest

from stars_dist.cluster.placement import (
    Placement,
    Room,
    learner_threads,
    most_starting_actors,
    place,
    share_of_core,
)
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan


def plan_of(*sets: str) -> RunPlan:
    """Four tasks: four actors, one shard and the learner, six processes in all."""
    return resolve([*map(set_layer, ("suite=toy:4", *sets))]).plan


def own(cpus: float, gpus: float = 0.0) -> Room:
    """A cluster that was started for the run."""
    return Room(True, cpus, gpus, cpus, gpus, (), cpus, gpus)


def joined(free: float, *others: float, cpus: float = 8.0, free_gpus: float = 0.0, gpus: float = 0.0) -> Room:
    """A cluster that ran already: what is free on this program's node, and on the others."""
    return Room(False, free, free_gpus, cpus, gpus, others, cpus + sum(others), gpus)


@pytest.mark.parametrize(
    ("cpus", "placement"),
    [
        (8.0, Placement(8.0, actor_cpus=1.0, service_cpus=1.0, learner_gpus=0)),
        (6.0, Placement(6.0, actor_cpus=1.0, service_cpus=1.0, learner_gpus=0)),
        (5.0, Placement(5.0, actor_cpus=1.0, service_cpus=0.0, learner_gpus=0)),  # 4.5 cores for 4 actors
        (4.0, Placement(4.0, actor_cpus=0.875, service_cpus=0.0, learner_gpus=0)),
        (2.0, Placement(2.0, actor_cpus=0.375, service_cpus=0.0, learner_gpus=0)),
        (0.0, Placement(0.0, actor_cpus=0.125, service_cpus=0.0, learner_gpus=0)),
    ],
    ids=["room", "just enough", "none for the services", "shared", "two cores", "no core"],
)
def test_a_core_each_where_there_are_enough(cpus: float, placement: Placement) -> None:
    plan = plan_of()
    found = place(plan, own(cpus))
    assert found == placement
    assert found.shares_cores == (placement.actor_cpus < 1)


@pytest.mark.parametrize(("num_actors", "cpus"), [(3, 2.0), (7, 3.0), (120, 2.0), (50, 48.0)])
def test_actors_that_share_cores_all_fit(num_actors: int, cpus: float) -> None:
    """Shares are rounded down to thousandths, as Ray keeps them no finer, so that none is left out."""
    placement = place(plan_of(f"actors.num_actors={num_actors}"), own(cpus))
    assert placement.shares_cores
    assert num_actors * placement.actor_cpus <= cpus - 0.5


@pytest.mark.parametrize(
    ("device", "gpus", "learner_gpus"),
    [("auto", 1.0, 1), ("cuda", 2.0, 1), ("cpu", 1.0, 0), ("auto", 0.0, 0), ("auto", 0.5, 0)],
)
def test_the_learner_takes_a_gpu_where_there_is_one(device: str, gpus: float, learner_gpus: int) -> None:
    placement = place(plan_of(f"device={device}"), own(8.0, gpus))
    assert placement.learner_gpus == learner_gpus


@pytest.mark.parametrize(
    ("device", "gpus", "learner_gpus"),
    [("auto", 2.0, 1), ("auto", 1.0, 0), ("cuda", 4.0, 1), ("cpu", 2.0, 0)],
)
def test_several_learners_have_a_gpu_each_or_none(device: str, gpus: float, learner_gpus: int) -> None:
    placement = place(plan_of(f"device={device}", "learner.num_learners=2"), own(8.0, gpus))
    assert placement == Placement(8.0, actor_cpus=1.0, service_cpus=1.0, learner_gpus=learner_gpus)


def test_fewer_gpus_than_learners_are_refused() -> None:
    with pytest.raises(ValueError, match=r"needs 2 GPUs, one for each learner, on the node .*, it has 1"):
        place(plan_of("device=cuda", "learner.num_learners=2"), own(8.0, 1.0))


def test_learners_share_the_threads_and_the_work() -> None:
    plan = resolve([set_layer("suite=mt10"), preset_layer("stars")]).plan
    two = plan.override(learner=plan.config.learner.model_copy(update={"num_learners": 2}))
    assert [learner_threads(p, place(p, own(4.0)), 4) for p in (plan, two)] == [3, 1]


@pytest.mark.parametrize("elsewhere", [0.0, 4.0])
def test_cuda_without_a_gpu_on_this_node_is_refused(elsewhere: float) -> None:
    message = rf"needs a GPU on the node of this program, it has 0 \(the cluster has {elsewhere:g}\); start"
    with pytest.raises(ValueError, match=message):
        place(plan_of("device=cuda"), joined(4.0)._replace(cluster_gpus=elsewhere))


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_that_another_program_has_is_not_waited_for(device: str) -> None:
    with pytest.raises(
        ValueError, match="needs a GPU on the node of this program, of its 1 0 are free; start it"
    ):
        place(plan_of(f"device={device}"), joined(8.0, free_gpus=0.0, gpus=1.0))
    assert place(plan_of("device=cpu"), joined(8.0, free_gpus=0.0, gpus=1.0)).learner_gpus == 0


@pytest.mark.parametrize(
    ("room", "service_cpus"),
    [
        (joined(8.0), 1.0),
        (joined(2.0), 0.5),  # one is left for an actor
        (joined(2.0, 4.0), 1.0),
        (joined(1.0, 8.0), 0.5),
        (joined(1.0), 0.25),
        (joined(0.5), 0.25),
    ],
)
def test_learner_and_shards_have_cores_of_this_node_reserved(room: Room, service_cpus: float) -> None:
    placement = place(plan_of(), room)
    assert (placement.service_cpus, placement.actor_cpus, placement.is_own) == (service_cpus, 1.0, False)
    assert 2 * service_cpus <= room.free_cpus


@pytest.mark.parametrize(
    ("shards", "free", "remedy"),
    [
        (10, 2.0, r"shards \(10\) need 0.25 .*, 2.75 in all, 2 of its 8 are free; use --shards 7"),
        (
            1,
            0.25,
            r"shards \(1\) need 0.25 .*, 0.5 in all, 0.25 of its 8 are free; start it when more are free",
        ),
    ],
)
def test_shards_that_do_not_fit_beside_the_learner_are_refused_with_what_fits(
    shards: int, free: float, remedy: str
) -> None:
    """By what is free, not by what is installed; cores of other nodes are of no use to them."""
    sets = ("suite=toy:10", f"replay.num_shards={shards}")
    with pytest.raises(ValueError, match=remedy):
        place(plan_of(*sets), joined(free, 64.0))
    if "--shards" in remedy:
        assert place(plan_of("suite=toy:10", "replay.num_shards=7"), joined(free, 64.0)).service_cpus == 0.25


@pytest.mark.parametrize(
    ("free", "num_actors", "share"),
    [
        ([4.0, 4.0], 8, 1.0),
        ([4.0, 4.0], 9, 0.5),
        ([0.5, 1.0], 2, 0.5),
        ([1.0], 500, 0.002),
        ([1.0], 501, 0.0),
    ],
)
def test_a_share_of_a_core_is_one_with_which_all_actors_fit(
    free: list[float], num_actors: int, share: float
) -> None:
    assert share_of_core(free, num_actors) == share


@pytest.mark.parametrize(
    ("preset", "suite", "sets", "cores", "threads"),
    [
        ("laptop", "starter", (), 2, 1),  # 0.3 GFLOP an update: a second thread halves the speed
        ("laptop", "mt10", (), 2, 1),
        ("stars", "mt10", (), 2, 2),  # 17 GFLOP: a second one makes it a third faster
        ("stars", "mt10", (), 1, 1),
        ("stars", "mt10", ("learner.torch_threads=1",), 2, 1),
        ("laptop", "starter", ("learner.torch_threads=2",), 2, 2),
        ("stars", "mt10", ("actors.num_actors=4",), 6, 1),  # four cores are the actors', one the shard's
    ],
)
def test_the_learner_has_threads_for_the_size_of_its_updates(
    preset: str, suite: str, sets: tuple[str, ...], cores: int, threads: int
) -> None:
    layers = [set_layer(f"suite={suite}"), preset_layer(preset), *map(set_layer, sets)]
    plan = resolve(layers).plan
    assert learner_threads(plan, place(plan, own(float(cores))), cores) == threads


def test_actors_that_share_cores_start_some_at_a_time_and_few_beside_the_services() -> None:
    def most(actor_cpus: float, cluster_cpus: float, are_services_up: bool) -> int:
        return most_starting_actors(500, actor_cpus, cluster_cpus, are_services_up)

    assert (most(0.003, 2.0, False), most(0.003, 2.0, True)) == (8, 50)
    assert (most(0.003, 0.0, False), most(0.003, 0.1, True)) == (1, 2)
    assert most(1.0, 16.0, False) == 500  # each waits for a core, so the autoscaler sees all of them


def test_actors_that_this_machine_has_no_memory_for_are_refused() -> None:
    plan = plan_of("actors.num_actors=500")
    with pytest.raises(ValueError, match="got 500 actors of at least 65 MiB"):
        place(plan, own(2.0)._replace(free_bytes=21.5 * 2**30))
    assert place(plan, own(2.0)._replace(free_bytes=40 * 2**30)).actor_cpus == 0.003


def test_actors_that_the_nodes_of_a_cluster_have_no_memory_for_are_refused_unless_more_may_come() -> None:
    plan, gib = plan_of("actors.num_actors=500"), 2**30
    room = joined(8.0, 8.0)._replace(free_bytes=10 * gib, nodes_free_bytes=(10 * gib, 11.5 * gib))
    with pytest.raises(ValueError, match=r"got 500 actors .* with 21\.5 GiB free on 2 nodes of the cluster"):
        place(plan, room)
    with pytest.raises(ValueError, match=r"10\.0 GiB free on 1 node of the cluster"):
        place(plan, room._replace(nodes_free_bytes=()))
    assert "machines that the autoscaler adds" in place(plan, room._replace(may_grow=True)).memory_note
    assert not place(plan, room._replace(nodes_free_bytes=(10 * gib, 30 * gib))).memory_note
