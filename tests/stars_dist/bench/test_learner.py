"""The learner's benchmark: the products it replays are those of an update, and its JSON is complete."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from learner.batch import BatchCopier
from learner.networks import FeatureNetwork
from learner.sac import SacLearner
from learner.update_cost import update_flop
from stars_dist.bench.learner import Products, plain_network
from stars_dist.bench.stage_clock import StageClock
from stars_dist.bench.stored_batches import stored_batches
from stars_dist.bench.update_modes import UpdateModes, measure_modes, modes_report
from stars_dist.config.merge import flag_layer, resolve
from stars_dist.config.preset_files import preset_layer
from stars_dist.config.run_plan import RunPlan

COMMAND = [sys.executable, "-c", "from stars_dist.cli import main; main()", "bench", "learner"]
CPU = torch.device("cpu")


@pytest.fixture
def plan() -> RunPlan:
    return resolve([flag_layer("--suite", "suite", "toy:4"), preset_layer("small")]).plan


def make_learner(plan: RunPlan, is_plain: bool = False) -> SacLearner:
    config = plan.config
    network = plain_network(config.network) if is_plain else config.network
    return SacLearner(network, config.sac, plan.replay.spec, plan.suite.task_names, CPU, 0)


def test_products_are_those_of_an_update(plan: RunPlan) -> None:
    """Counted by hand for even quotas, where every layer is one batched product.

    Forward: actor twice, critics twice, targets once, of 2 trunk + 2 unique + 1 head layers, and a product with
    the task vectors each. Backward: critics and actor give every layer a weight gradient (the unique branch's first
    one for the task vectors' part too) and all but the first an input gradient, the first unique one for the task
    vectors; the critics under the actor's loss give head, second and first trunk layer an input gradient.
    """
    with stored_batches(plan, 0.0) as sampler:
        (sampled,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
    batch = BatchCopier(CPU)(sampled)
    products = Products(make_learner(plan), batch)
    forward, weight_grads, input_grads = 5 * (5 + 1), 2 * (5 + 1), 2 * (3 + 1) + 3
    assert len(products._layers) == forward + weight_grads + input_grads
    # three mixed pools per network: mixed for actor, critics (twice) and targets; two gradients of each, twice
    assert len(products._composition) == 4 * 3 + 2 * 2 * 3
    products.multiply()
    plain = Products(make_learner(plan, is_plain=True), batch)
    assert plain._composition == []
    assert len(plain._layers) == 5 * 3 + 2 * 3 + 2 * 2 + 3


def test_the_clock_counts_every_moment_once_and_leaves_no_trace(plan: RunPlan) -> None:
    learner = make_learner(plan)
    with stored_batches(plan, 0.0) as sampler:
        (sampled,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
    clock = StageClock(learner)
    with clock.attached():
        learner.update(BatchCopier(CPU)(sampled))
    assert set(clock.seconds) == {
        "critic",
        "actor",
        "alpha",
        "target",
        "triplet",
        "composition",
        "optimizer",
    }
    assert all(seconds > 0 for seconds in clock.seconds.values())
    assert clock.stage is None
    before = dict(clock.seconds)
    learner.update(BatchCopier(CPU)(sampled))
    assert clock.seconds == before
    assert "compose" not in vars(learner.critic)


def test_quotas_are_ragged_when_half_of_the_tasks_are_solved(plan: RunPlan) -> None:
    with stored_batches(plan, 0.5) as sampler:
        (sampled,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
    assert sampled.group_sizes.tolist() == [48, 48, 16, 16]


def test_json_has_both_ratios_and_the_split() -> None:
    arguments = ["--suite", "toy:3", "--preset", "small", "--seconds", "0", "--threads", "1", "--json"]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    numbers = {"ms", "plain_ms", "matmul_ms", "layers_matmul_ms", "ratio_plain", "ratio_matmul"}
    assert set(result) == {*numbers, "split_ms", "ragged", *UpdateModes._fields}
    assert all(result[name] > 0 and result["ragged"][name] > 0 for name in numbers)
    assert result["ratio_plain"] == pytest.approx(result["ms"] / result["plain_ms"])  # one round: its ratio
    stages = {"sampling wait", "copy", "critic", "actor", "alpha", "triplet", "optimizer", "target"}
    assert stages <= set(result["split_ms"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "starz"], "did you mean 'stars'?"),
        (["--device", "tpu"], "--device must be"),
        (["--threads", "0"], "--threads must be greater than 0, got 0"),
        (["--suite", "toy:0"], "a toy suite must be toy:N with N from 1 to 1000"),
        pytest.param(
            ["--device", "cuda"],
            "device cuda needs a GPU that torch can use",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU"),
        ),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_the_modes_are_measured_in_one_run(plan: RunPlan) -> None:
    with stored_batches(plan, 0.5) as sampler:
        (sampled,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
    batch = BatchCopier(CPU)(sampled)
    products = Products(make_learner(plan), batch)
    modes = measure_modes(plan, batch, CPU, products.flop, seconds=0.0)
    assert modes.updates_per_s["eager"] and modes.updates_per_s["static"]
    assert modes.updates_per_s["graph"] is None and modes.device_busy_share["eager"] is None
    launches = modes.launches_per_update
    assert launches["eager"] and launches["static"] and launches["graph"] is None
    assert modes.bound_updates_per_s == pytest.approx(
        1e3 * modes.product_tflop_per_s / modes.gflop_per_update
    )
    assert "graph" in "\n".join(modes_report(modes))


def test_the_estimate_of_an_updates_flop_is_near_its_products(plan: RunPlan) -> None:
    """It leaves out the composition and the columns of ones, and counts gradients of inputs that none needs."""
    with stored_batches(plan, 0.0) as sampler:
        (sampled,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
    estimate = update_flop(plan.config.network, plan.replay.spec, plan.replay.batch_size)
    assert estimate == pytest.approx(Products(make_learner(plan), BatchCopier(CPU)(sampled)).flop, rel=0.2)


def test_the_flop_of_an_update(plan: RunPlan) -> None:
    """Of multi-head SAC by hand: 2 per weight and row, forward, and again for each gradient."""
    with stored_batches(plan, 0.0) as sampler:
        (sampled,) = sampler.sample(1, 0, 0.4, timeout_s=10.0)
    learner = make_learner(plan, is_plain=True)
    rows = plan.replay.batch_size

    def per_row(network: FeatureNetwork) -> list[int]:
        layers = network.layout.layers
        return [2 * network.layout.ensemble * (layer.fan_in + 1) * layer.fan_out for layer in layers]

    def input_grads(network: FeatureNetwork, first: int) -> list[int]:
        layers = network.layout.layers[first:]
        return [2 * network.layout.ensemble * layer.fan_in * layer.fan_out for layer in layers]

    actor, critic = per_row(learner.actor), per_row(learner.critic)
    forward = 2 * sum(actor) + 3 * sum(critic)
    weight_grads = sum(actor) + sum(critic)
    inputs = sum(input_grads(learner.actor, 1)) + 2 * sum(input_grads(learner.critic, 1))
    first = learner.critic.layout.layers[0]
    to_action = 2 * learner.critic.layout.ensemble * plan.replay.spec.action_dim * first.fan_out
    expected = rows * (forward + weight_grads + inputs + to_action)
    assert Products(learner, BatchCopier(CPU)(sampled)).flop == pytest.approx(expected)
