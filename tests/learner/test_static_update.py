"""An update of static shapes equals the ragged one, reads nothing on the host, and has one list of operations."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from learner.batch import TensorBatch
from learner.config import SacConfig
from learner.finite_guard import NonFiniteLossError
from learner.sac import SacLearner
from learner.update_mode import UpdateMode, largest_quota, static_mode
from replay_service.config import SamplingConfig, TaskPriorityConfig
from replay_service.task_priority import task_probability, task_quotas
from tests.learner.conftest import VARIANTS, method_config

MODE = UpdateMode(rows_per_task=16, inner_multiple=8)
QUOTAS = {
    "ragged": (3, 1, 4),
    "even": (5, 5, 5),
    "an empty task": (7, 0, 9),
    "a full one": (16, 2, 2),
    "all full": (16, 16, 16),
}
SAC = SacConfig(learning_rate_end_factor=0.1)
_aten: Any = torch.ops.aten
HOST_READS = {_aten._local_scalar_dense, _aten.nonzero, _aten.masked_select, _aten.item, _aten.unique_dim}


class Operations(TorchDispatchMode):
    """Lists what is computed, with shapes, and refuses what would read the device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.largest = 0  # elements of a result that is new, not a view or written in place

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket not in HOST_READS, f"{func} waits for the device"
        out = func(*args, **(kwargs or {}))
        shape = tuple(out.shape) if isinstance(out, torch.Tensor) else ""
        self.seen.append(f"{func} {shape}")
        if isinstance(out, torch.Tensor) and func._schema.returns[0].alias_info is None:
            self.largest = max(self.largest, out.numel())
        return out


def _pair(make_learner: Callable[..., SacLearner], method: str) -> tuple[SacLearner, SacLearner]:
    """An eager learner and a static one in the same state, away from the start."""
    eager = make_learner(method_config(method), SAC)
    spec, names = eager.spec, eager.task_names
    static = SacLearner(eager.network, SAC, spec, names, torch.device("cpu"), 0, MODE)
    return eager, static


EVERY = [(method, "ragged") for method in VARIANTS]
SOME = [(method, quota) for method in ("stars", "mtmhsac", "unique-only") for quota in QUOTAS]


@pytest.mark.parametrize(("method", "quota"), sorted({*EVERY, *SOME}))
def test_static_equals_ragged(
    method: str,
    quota: str,
    make_learner: Callable[..., SacLearner],
    make_batch: Callable[..., TensorBatch],
) -> None:
    eager, static = _pair(make_learner, method)
    for warm in range(3):
        eager.update(make_batch((4, 4, 4), seed=10 + warm))
    static.load_state_dict(copy.deepcopy(eager.state_dict()))
    eager.anneal(0.5)
    static.anneal(static.progress(6))
    batch = make_batch(QUOTAS[quota])
    expected, got = eager.update(batch), static.update(batch)
    close = functools.partial(torch.testing.assert_close, rtol=1e-5, atol=1e-5)
    for part in ("loss", "contrastive_loss", "gradient_norm"):
        for stage in ("critic", "actor"):
            ours, theirs = getattr(getattr(got, stage), part), getattr(getattr(expected, stage), part)
            close(ours, theirs)
    close(got.priorities, expected.priorities)
    for name in ("actor", "critic"):
        theirs = dict(getattr(eager, name).named_parameters())
        for parameter, tensor in getattr(static, name).named_parameters():
            close(tensor.grad, theirs[parameter].grad)
    close(static.log_alpha, eager.log_alpha)
    assert static.learning_rate == pytest.approx(eager.learning_rate, rel=1e-6)
    metrics = static_metrics, eager_metrics = (
        got.metrics(static.task_names),
        expected.metrics(eager.task_names),
    )
    assert metrics[0].keys() == metrics[1].keys()
    assert static_metrics == pytest.approx(eager_metrics, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("method", ["stars", "mtmhsac", "unique-only", "paco", "supcon"])
def test_nothing_is_read_and_no_shape_follows_the_quotas(
    method: str, make_learner: Callable[..., SacLearner], make_batch: Callable[..., TensorBatch]
) -> None:
    """What a CUDA graph needs: the same operations with the same shapes, whatever the batch holds."""
    _, static = _pair(make_learner, method)
    static.update(make_batch((8, 8, 8)))  # makes buffers and moments
    lists = []
    for seed, quota in enumerate([(16, 4, 4), (8, 8, 8), (0, 11, 13)]):
        batch = make_batch(quota, seed)
        with Operations() as operations:
            static.anneal(static.progress(100))
            static.update(batch)
        lists.append(operations.seen)
    assert lists[0] == lists[1] == lists[2]


def test_an_eager_update_does_read(
    make_learner: Callable[..., SacLearner], make_batch: Callable[..., TensorBatch]
) -> None:
    """Else the test above would hold for anything."""
    eager = make_learner()
    with pytest.raises(AssertionError, match="waits for the device"), Operations():
        eager.update(make_batch((3, 1, 4)))


def test_a_loss_that_is_not_finite_is_found_later_and_nothing_steps_on_it(
    make_learner: Callable[..., SacLearner], make_batch: Callable[..., TensorBatch]
) -> None:
    _, static = _pair(make_learner, "stars")
    static.update(make_batch((3, 1, 4)))
    before = copy.deepcopy(static.actor.state_dict())
    bad = make_batch((3, 1, 4), seed=1)
    bad.reward[3] = float("nan")
    static.update(bad)
    static.update(make_batch((3, 1, 4), seed=2))
    for name, tensor in static.actor.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    with pytest.raises(NonFiniteLossError, match="critic loss of task-1 at learner step 2"):
        static.guard.raise_if_tripped()


def test_metrics_of_a_batch_whose_sizes_are_on_the_device(
    make_learner: Callable[..., SacLearner], make_batch: Callable[..., TensorBatch]
) -> None:
    eager, static = _pair(make_learner, "stars")
    batch = make_batch((3, 1, 4))
    expected = eager.update(batch).metrics(eager.task_names)
    got = static.update(batch._replace(group_sizes=torch.tensor(batch.group_sizes)))
    assert got.metrics(static.task_names) == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("rows", [1, 7, 128])
@pytest.mark.parametrize("clip_high", [1.0, 1.3, 2.0, 9.0])
def test_no_quota_is_above_its_bound(rows: int, clip_high: float) -> None:
    priority = TaskPriorityConfig(clip_high=clip_high, quota_floor=1, exponent=3.0)
    sampling = SamplingConfig(batch_size_per_task=rows, task_priority=priority)
    most = largest_quota(sampling, 10)
    assert most % 8 == 0
    generator = torch.Generator().manual_seed(0)
    for solved in range(11):
        rate = torch.rand(10, generator=generator, dtype=torch.float64)
        rate[:solved] = 1.0
        quota = task_quotas(task_probability(rate.numpy(), priority), 10 * rows, 1)
        assert quota.max() <= most


def test_without_task_priority_nothing_is_padded() -> None:
    sampling = SamplingConfig(task_priority=TaskPriorityConfig(enabled=False))
    assert static_mode(sampling, 50).rows_per_task == sampling.batch_size_per_task
