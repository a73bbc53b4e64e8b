"""What the processes of a run ask of clusters of several sizes."""

from __future__ import annotations

import pytest

from stars_dist.cluster.placement import Placement, learner_threads, place
from stars_dist.config.merge import resolve, set_layer
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan


def plan_of(*sets: str) -> RunPlan:
    """Four tasks: four actors, one shard and the learner, six processes in all."""
    return resolve([*map(set_layer, ("suite=toy:4", *sets))]).plan


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
    found = place(plan, {"CPU": cpus}, {"CPU": cpus})
    assert found == placement
    assert found.shares_cores == (placement.actor_cpus < 1)


@pytest.mark.parametrize(("num_actors", "cpus"), [(3, 2.0), (7, 3.0), (120, 2.0), (50, 48.0)])
def test_actors_that_share_cores_all_fit(num_actors: int, cpus: float) -> None:
    """Shares are rounded down to thousandths, as Ray keeps them no finer, so that none is left out."""
    placement = place(plan_of(f"actors.num_actors={num_actors}"), {"CPU": cpus}, {"CPU": cpus})
    assert placement.shares_cores
    assert num_actors * placement.actor_cpus <= cpus - 0.5


@pytest.mark.parametrize(
    ("device", "gpus", "learner_gpus"),
    [("auto", 1.0, 1), ("cuda", 2.0, 1), ("cpu", 1.0, 0), ("auto", 0.0, 0), ("auto", 0.5, 0)],
)
def test_the_learner_takes_a_gpu_where_there_is_one(device: str, gpus: float, learner_gpus: int) -> None:
    resources = {"CPU": 8.0, "GPU": gpus}
    placement = place(plan_of(f"device={device}"), resources, resources)
    assert placement.learner_gpus == learner_gpus


@pytest.mark.parametrize(
    ("device", "gpus", "learner_gpus"),
    [("auto", 2.0, 1), ("auto", 1.0, 0), ("cuda", 4.0, 1), ("cpu", 2.0, 0)],
)
def test_several_learners_have_a_gpu_each_or_none(device: str, gpus: float, learner_gpus: int) -> None:
    resources = {"CPU": 8.0, "GPU": gpus}
    placement = place(plan_of(f"device={device}", "learner.num_learners=2"), resources, resources)
    assert placement == Placement(8.0, actor_cpus=1.0, service_cpus=1.0, learner_gpus=learner_gpus)


def test_fewer_gpus_than_learners_are_refused() -> None:
    resources = {"CPU": 8.0, "GPU": 1.0}
    with pytest.raises(ValueError, match=r"needs 2 GPUs, one for each learner, on the node .*, it has 1"):
        place(plan_of("device=cuda", "learner.num_learners=2"), resources, resources)


def test_learners_share_the_threads_and_the_work() -> None:
    plan = resolve([set_layer("suite=mt10"), preset_layer("stars")]).plan
    two = plan.override(learner=plan.config.learner.model_copy(update={"num_learners": 2}))
    resources = {"CPU": 4.0}
    assert [learner_threads(p, place(p, resources, resources), 4) for p in (plan, two)] == [3, 1]


@pytest.mark.parametrize("elsewhere", [0.0, 4.0])
def test_cuda_without_a_gpu_on_this_node_is_refused(elsewhere: float) -> None:
    message = rf"needs a GPU on the node of this program, it has 0 \(the cluster has {elsewhere:g}\); start"
    with pytest.raises(ValueError, match=message):
        place(plan_of("device=cuda"), {"CPU": 8.0, "GPU": elsewhere}, {"CPU": 4.0})


def test_a_small_node_keeps_its_learner_and_shards_and_reserves_no_cores_for_them() -> None:
    """They may not go elsewhere, and would wait for ever for cores that this node does not have."""
    placement = place(plan_of(), {"CPU": 8.0, "GPU": 1.0}, {"CPU": 1.0})
    assert placement == Placement(8.0, actor_cpus=1.0, service_cpus=0.0, learner_gpus=0)


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
    plan, resources = resolve(layers).plan, {"CPU": float(cores)}
    assert learner_threads(plan, place(plan, resources, resources), cores) == threads
