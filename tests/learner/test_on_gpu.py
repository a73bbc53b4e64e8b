"""What holds on a GPU: graph equals no graph, mirror equals shards, checkpoints travel, the guard stops optimizers.

`STARS_TEST_DEVICE=cpu` runs them on a CPU, without a graph: a rehearsal of the tests themselves.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from learner.batch import BatchCopier, TensorBatch
from learner.config import SacConfig
from learner.diagnostics import UpdateResult
from learner.finite_guard import NonFiniteLossError
from learner.matmul_precision import set_matmul_precision
from learner.sac import SacLearner
from learner.update_mode import EAGER, UpdateMode
from learner.update_program import WARM_UP_CALLS, BatchUpdate
from replay_service.priority import importance_weights
from replay_service.types import TransitionSpec
from tests.learner.conftest import ACTION_DIM, OBS_DIM, Replay, method_config, random_batch
from tests.learner.mirrored import BETA, QUOTA, Mirrored
from tests.learner.test_replay_mirror import merged, shard_probability

pytestmark = pytest.mark.gpu
STATIC = UpdateMode(rows_per_task=16, inner_multiple=8)
QUOTAS = [(16, 4, 4), (8, 8, 8), (3, 10, 11)]
UPDATES = 2 * (WARM_UP_CALLS + 3)
SPEC, NAMES = TransitionSpec(3, OBS_DIM, ACTION_DIM), ("a", "b", "c")


@pytest.fixture
def device() -> torch.device:
    kind = os.environ.get("STARS_TEST_DEVICE", "cuda")
    if kind == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    set_matmul_precision("float32", torch.device(kind))
    return torch.device(kind)


def _learner(
    device: torch.device, method: str = "stars", mode: UpdateMode = STATIC, **sac: float
) -> SacLearner:
    config = SacConfig.model_validate({"learning_rate": 1e-3, "learning_rate_end_factor": 0.5} | sac)
    return SacLearner(method_config(method), config, SPEC, NAMES, device, 0, mode)


def _batches(device: torch.device) -> list[TensorBatch]:
    copier = BatchCopier(device)
    sampled = [random_batch(QUOTAS[i % 3], seed=i).sampled for i in range(UPDATES)]
    return [copier(batch) for batch in sampled if batch is not None]


def _assert_same(first: SacLearner, second: SacLearner, tolerance: float) -> None:
    for name in ("actor", "critic", "target_critic"):
        theirs = dict(getattr(second, name).named_parameters())
        for parameter, tensor in getattr(first, name).named_parameters():
            expected = theirs[parameter].to(tensor.device)
            torch.testing.assert_close(tensor, expected, rtol=tolerance, atol=tolerance)


def _losses(result: UpdateResult) -> list[float]:
    """The critics', and the actor's of its newest update."""
    return [float(result.critic.loss), float("nan") if result.actor is None else float(result.actor.loss)]


@pytest.mark.parametrize("actor_every", [1, 2])
@pytest.mark.parametrize("method", ["stars", "mtmhsac", "stars-layer-norm"])
def test_a_graph_equals_no_graph(method: str, actor_every: int, device: torch.device) -> None:
    losses: list[list[float]] = []
    learners = [_learner(device, method, actor_every=actor_every) for _ in range(2)]
    for learner, uses_graph in zip(learners, (device.type == "cuda", False), strict=True):
        update = BatchUpdate(learner, 100, uses_graph)
        losses.append([loss for batch in _batches(device) for loss in _losses(update(batch))])
        assert learner.learner_steps == UPDATES == int(learner._steps_on_device)
    np.testing.assert_allclose(*losses, rtol=1e-4)
    _assert_same(*learners, tolerance=1e-4)


@pytest.mark.parametrize("method", ["stars", "mtmhsac"])
def test_static_equals_ragged(method: str, device: torch.device) -> None:
    results = []
    for mode in (STATIC, EAGER):
        learner = _learner(device, method, mode)
        results.append(learner.update(_batches(device)[0]))
    torch.testing.assert_close(results[0].priorities, results[1].priorities, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(results[0].critic.loss, results[1].critic.loss, rtol=1e-4, atol=1e-5)


def test_the_mirror_in_a_graph_equals_the_mirror_without(device: torch.device) -> None:
    """Draws, weights, priorities and updates: two mirrors of two equal services, with the same seeds."""
    losses: list[list[float]] = []
    touched = []
    for uses_graph in (device.type == "cuda", False):
        replay = Replay()
        replay.warm_up()
        pair, learner = Mirrored(replay, device), _learner(device)
        source, update = pair.source(learner, 100, uses_thread=False, uses_graph=uses_graph)
        losses.append([])
        for step in range(UPDATES):
            leave = source.next(step, 0.0)
            assert leave is not None
            losses[-1].append(float(update(leave).critic.loss))
        touched.append(pair.mirror.take_touched())
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for ours, theirs in zip(*touched, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_the_mirror_draws_what_the_shards_would_draw(device: torch.device) -> None:
    replay = Replay()
    replay.warm_up()
    pair = Mirrored(replay, device)
    pair.fetch()
    pair.set_priorities(seed=1)
    batch, table, slot = pair.mirror.draw(torch.from_numpy(QUOTA).to(device), BETA.to(device))
    of_task = [shard_probability(replay, task) for task in range(3)]
    tables, slots = table.cpu().numpy(), slot.cpu().numpy()
    probability = np.array([of_task[t][s] for t, s in zip(tables, slots, strict=True)])
    expected = importance_weights(probability, pair.feed.size[tables], float(BETA))
    np.testing.assert_allclose(batch.is_weight.cpu().numpy(), expected, rtol=1e-5)
    counts = np.zeros((3, pair.feed.size[0]))
    quota = torch.tensor([8, 8, 8], device=device)
    for _ in range(1000):
        _, table, slot = pair.mirror.draw(quota, BETA.to(device))
        np.add.at(counts, (table.cpu().numpy(), slot.cpu().numpy()), 1)
    for task in range(3):
        assert stats.chisquare(*merged(counts[task], 8000 * of_task[task])).pvalue > 1e-4


@pytest.mark.parametrize("direction", ["to the CPU", "from the CPU"])
def test_a_checkpoint_travels_across_devices(direction: str, device: torch.device, tmp_path: Path) -> None:
    devices = [device, torch.device("cpu")]
    if direction == "from the CPU":
        devices.reverse()
    modes = [EAGER if d.type == "cpu" else STATIC for d in devices]
    first, second = (_learner(d, "stars", mode) for d, mode in zip(devices, modes, strict=True))
    for batch in _batches(devices[0])[:3]:
        first.update(batch)
    torch.save(first.state_dict(), tmp_path / "learner.pt")
    second.load_state_dict(torch.load(tmp_path / "learner.pt", map_location="cpu", weights_only=True))
    _assert_same(first, second, tolerance=0.0)
    update = BatchUpdate(second, 100, devices[1].type == "cuda")
    for batch in _batches(devices[1]):
        update(batch)
    second.guard.raise_if_tripped()
    assert second.learner_steps == 3 + UPDATES


@pytest.mark.parametrize("after", [1, WARM_UP_CALLS + 2])
def test_the_guard_stops_every_step_within_a_graph_too(after: int, device: torch.device) -> None:
    learner, batches = _learner(device), _batches(device)
    update = BatchUpdate(learner, 100, device.type == "cuda")
    for batch in batches[:after]:
        update(batch)
    before = copy.deepcopy(learner.critic.state_dict())
    batches[after].reward[2] = float("nan")
    for batch in batches[after : after + 3]:
        update(batch)
    for name, tensor in learner.critic.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    with pytest.raises(NonFiniteLossError, match=f"loss of a at learner step {after + 1}"):
        learner.guard.raise_if_tripped()


def test_reduced_precision_stays_near(device: torch.device, make_learner: Callable) -> None:
    results = {}
    for precision in ("float32", "tf32", "bfloat16"):
        set_matmul_precision(precision, device)
        results[precision] = _learner(device).update(_batches(device)[0]).priorities
    set_matmul_precision("float32", device)
    torch.testing.assert_close(results["tf32"], results["float32"], rtol=0.05, atol=0.05)
    torch.testing.assert_close(results["bfloat16"], results["float32"], rtol=0.2, atol=0.2)
